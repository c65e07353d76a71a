//! The calls of the application in a conversation, on workers, and what becomes of their errors.

use super::{Speaking, Stage};
use crate::exchange::websocket::{CloseCode, Conversation, Message, Peer, verdict};
use crate::exchange::{Error, RequestId, WorkerStage};
use crate::server::connection::request::guarded;
use crate::server::workspace::Workspace;
use std::time::Instant;

impl Speaking {
    /// Asks whether the conversation may go on.
    pub(super) fn look_again(&mut self, work: &mut Workspace) {
        self.is_doubted = false;
        let Self { bond, peer, line, .. } = self;
        let Some(bond) = bond else { return };
        if on_worker(work, line, peer.id(), self.handler, || bond.holds()) == Some(false) {
            peer.close(CloseCode::POLICY, "the session has ended");
        }
    }

    /// Hands the message of the decoder to the application.
    pub(super) fn hand_over(&mut self, work: &mut Workspace, is_text: bool) {
        let Self { decoder, conversation, peer, .. } = self;
        let content = decoder.message();
        let message = match is_text.then(|| std::str::from_utf8(content)) {
            Some(Ok(text)) => Message::Text(text),
            _ => Message::Bytes(content),
        };
        let (line, id, handler) = (&self.line, peer.id(), self.handler);
        let outcome = on_worker(work, line, id, handler, || conversation.message(message, peer));
        self.judge(outcome);
    }

    /// Calls the application.
    pub(super) fn call(
        &mut self,
        work: &mut Workspace,
        call: impl FnOnce(&mut dyn Conversation, &Peer) -> Result<(), Error>,
    ) {
        let Self { conversation, peer, .. } = self;
        let (line, id, handler) = (&self.line, peer.id(), self.handler);
        let outcome = on_worker(work, line, id, handler, || call(&mut **conversation, peer));
        self.judge(outcome);
    }

    /// An error of the application ends the conversation, behind all that was sent.
    fn judge(&self, outcome: Option<Result<(), Error>>) {
        let (code, reason) = match outcome {
            Some(Ok(())) => return,
            None => (CloseCode::FAILED, String::new()),
            Some(Err(error)) => {
                let (code, reason, is_fault) = verdict(&error);
                if is_fault {
                    let id = self.peer.id();
                    crate::line::record!(Error, target: "kirsch::error", "request {id}: a conversation failed: {error}");
                }
                (code, reason)
            }
        };
        self.peer.close(code, reason);
    }

    /// Tells the application of the end, and the log.
    pub(super) fn tell(&mut self, work: &mut Workspace) {
        let sent = self.peer.end();
        self.channels.clear();
        let Stage::Closing { why, is_told, .. } = &mut self.stage else { return };
        *is_told = true;
        let (line, id) = (&self.line, self.peer.id());
        let conversation = &mut self.conversation;
        let _ = on_worker(work, line, id, self.handler, || conversation.closed(why));
        let (page, seconds) = (String::from_utf8_lossy(line), why.after.as_secs_f64());
        let ((received, bytes_in), (sent, bytes_out)) = (self.received, sent);
        crate::line::record!(
            Info,
            target: "kirsch::websocket",
            "request {id}: {page} from {}: {why} after {seconds:.1} s, {received} messages in ({bytes_in} bytes), {sent} out \
             ({bytes_out} bytes), {} bytes of rooms",
            self.peer.remote(),
            self.heard
        );
    }
}

/// Runs code of the application for a conversation; `None` when it panicked, which is logged.
fn on_worker<T>(
    work: &mut Workspace,
    line: &[u8],
    id: RequestId,
    handler: usize,
    call: impl FnOnce() -> T,
) -> Option<T> {
    let now = work.shared.scheduler.clock.millis(Instant::now());
    work.record().begin_line(line, id, handler, now, WorkerStage::Message);
    let outcome = guarded(id, call);
    work.record().finish();
    outcome
}
