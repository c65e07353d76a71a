// One event stream for all tabs of a browser.
//
// Over HTTP/1.1 a browser opens six connections to a host, and each event stream is one: the seventh tab would load
// nothing. Here the tab that has the lock follows the stream, and tells the others by a channel. When it is closed, the
// next one gets the lock and goes on behind the last event that it has seen. Over HTTP/2 nothing of this is needed.
//
//   followEvents("/events", { after: "4f-19", kinds: ["article"], onEvent: ({ kind, data, id }) => ... });
//
// `after` is the id of the last event that is in the page already. The server takes it as a parameter of the query.
// `onState` is told "open" or "connecting", and whether this tab follows the stream itself.
function followEvents(url, { after = "", kinds = [], onEvent, onState = () => {} }) {
  let last = after;
  const got = event => {
    if (event.id) last = event.id;
    onEvent(event);
  };

  const follow = tell => {
    const address = new URL(url, location.href);
    if (last) address.searchParams.set("after", last);
    const source = new EventSource(address);
    // Tells nothing twice: the browser connects again by itself, and says which event was the last.
    for (const kind of ["message", "resync", ...kinds]) {
      source.addEventListener(kind, event => tell({ event: { kind, data: event.data, id: event.lastEventId } }));
    }
    source.onopen = () => tell({ state: "open" });
    source.onerror = () => {
      tell({ state: "connecting" });
      // After an answer that is no stream, such as 503, the browser gives up.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(tell), 1000 + Math.random() * 9000);
    };
  };

  const hear = isLeader => ({ event, state }) => {
    if (event) got(event);
    if (state) onState(state, isLeader);
  };

  // Without locks (an old browser, or a page without https that is not on this machine) each tab follows by itself.
  if (!navigator.locks || !window.BroadcastChannel) return follow(hear(true));

  const name = "events " + url, channel = new BroadcastChannel(name);
  let state = "connecting", leads = false;
  channel.onmessage = ({ data }) => {
    if (data === "state?") {
      if (leads) channel.postMessage({ state });
    } else if (!leads) hear(false)(data);
  };
  // A tab that is opened later hears how things stand.
  channel.postMessage("state?");
  navigator.locks.request(name, () => {
    leads = true;
    follow(message => {
      if (message.state) state = message.state;
      channel.postMessage(message);
      hear(true)(message);
    });
    // Held until the tab is closed.
    return new Promise(() => {});
  });
}
