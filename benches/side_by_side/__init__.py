"""Side by side: kirsch and its peers under the same load in one run. `benches/compare` is the entry.

    processes   children that die with the script, and what the kernel knows of them: CPU, memory
    servers     what is measured: how each server is built and started
    loads       what is asked of a server: wrk, ab, and what goes on around them (sleepers, idle connections)
    conversations   the same by WebSocket
    streams     the same by event streams
    multiplexed the same by HTTP/2
    frames      frames of HTTP/2 by hand, and floods of them
    cases       the table of cases: which load on which servers
    measuring   one measurement, and the rounds of them
    once        what is looked at once: system calls, allocations, cold builds
    numbers     the goals of the project against what was measured
    report      tables and plot, as Markdown and SVG
    tests       unit tests of what can be wrong without a server

Absolute times belong to the machine and its hour. So everything is a ratio of two measurements of the same round, and what is shown is the
median over the rounds.
"""
