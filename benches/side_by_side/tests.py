"""Unit tests of what can be wrong without a server. Run in benches/ as `python3 -m unittest side_by_side.tests`."""
import unittest
from types import SimpleNamespace

from . import frames, loads, multiplexed, numbers, once, processes, report, servers
from .cases import CASES, Case, Variant
from .measuring import Results

WRK = """Running 2s test @ http://127.0.0.1:33333/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   474.65us  111.13us   2.05ms   77.50%
    Req/Sec   133.05k     2.48k  136.35k    80.00%
  264812 requests in 2.00s, 33.34MB read
  Socket errors: connect 0, read 3, write 0, timeout 2
  Non-2xx or 3xx responses: 4
Requests/sec: 132065.45
Transfer/sec:     16.63MB
latency 50 0.230 ms
latency 99 1.440 ms
latency 99.9 9.600 ms
"""
AB = """Complete requests:      31562
Failed requests:        5
   (Connect: 0, Receive: 2, Length: 1, Exceptions: 2)
Non-2xx responses:      2
Requests per second:    15781.02 [#/sec] (mean)
  50%      4
"""
H2LOAD = """finished in 2.00s, 210000.50 req/s, 7.20MB/s
requests: 420001 total, 420257 started, 420001 done, 419998 succeeded, 3 failed, 3 errored, 1 timeout
status codes: 419998 2xx, 0 3xx, 0 4xx, 0 5xx
"""
S_TIME = """Collecting connection statistics for 1 seconds
rr*r

4 connections in 0.37s; 10.8 connections/user sec, bytes read 624
4 connections in 2 real seconds, 156 bytes read per connection
"""
STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.10    1.200000          12     10000           sendto
 40.00    0.900000           9     20400       400 recvfrom
  7.90    0.100000           3      9000           epoll_pwait2
------ ----------- ----------- --------- --------- ----------------
100.00    2.200000           5     39400       400 total
"""


def results_of(**rates):
    """Results of the case `c`, a rate for each round."""
    results = Results()
    for server, values in rates.items():
        for number, rate in enumerate(values):
            if rate is not None:
                results.add("c", server, number, {"": loads.Measured(100, rate, 0.1, 0.2, None, 0, user=1.0, system=3.0, memory=2048)})
    return results


class Loads(unittest.TestCase):
    def test_the_report_of_wrk(self):
        found = loads.parse_wrk(WRK)
        self.assertEqual((found.requests, found.rate, found.errors), (264812, 132065.45, 9))
        self.assertEqual((found.p50, found.p99, found.p999), (0.23, 1.44, 9.6))

    def test_pipelined_requests_have_no_latencies(self):
        found = loads.parse_wrk(WRK, latencies=False)
        self.assertEqual((found.p50, found.p99, found.p999), (None, None, None))

    def test_a_load_without_answers_is_a_problem_with_the_words_of_the_tool(self):
        for parse in (loads.parse_wrk, lambda text, complaint: loads.parse_ab(text, complaint, "")):
            with self.assertRaisesRegex(servers.Problem, "Connection refused"):
                parse("", "unable to connect to 127.0.0.1:1 Connection refused\n")

    def test_the_report_of_ab(self):
        found = loads.parse_ab(AB, "", "Percentage served,Time in ms\n0,0.310\n5,1.1\n50,4.012\n99,6.250\n")
        self.assertEqual((found.requests, found.rate, found.errors), (31562, 15781.02, 7))
        self.assertEqual((found.p50, found.p99, found.p999), (4.012, 6.25, None))

    def test_the_report_of_s_time(self):
        found = loads.parse_s_time(S_TIME, "", "r", 2)
        self.assertEqual((found.requests, found.rate, found.errors), (4, 2.0, 1))


    def test_the_report_of_h2load(self):
        found = multiplexed.parse_h2load(H2LOAD)
        self.assertEqual((found.requests, found.rate, found.errors), (420001, 210000.5, 4))
        with self.assertRaisesRegex(servers.Problem, "Connection refused"):
            multiplexed.parse_h2load("", "failed to connect: Connection refused\n")

    def test_a_frame_has_its_length_its_kind_and_its_stream(self):
        self.assertEqual(frames.frame(frames.RST_STREAM, stream=5, content=frames.CANCEL), b"\0\0\x04\x03\0\0\0\0\x05\0\0\0\x08")


class Kernel(unittest.TestCase):
    def test_the_name_of_a_program_may_look_like_fields(self):
        fields = " ".join(str(number) for number in range(3, 53))
        self.assertEqual(processes.parse_stat(f"17 (a) b ((c) {fields}"), (14, 15))

    def test_time_is_split_as_the_ticks_are(self):
        earlier, later = SimpleNamespace(seconds=1.0, user=10, system=10), processes.Processor.__new__(processes.Processor)
        later.seconds, later.user, later.system = 3.0, 20, 40
        self.assertEqual(later.since(earlier), (0.5, 1.5))

    def test_system_calls_are_counted_with_and_without_errors(self):
        self.assertEqual(once.parse_strace(STRACE), {"sendto": 10000, "recvfrom": 20400, "epoll_pwait2": 9000})

    def test_the_first_complaint_of_a_server_is_shown(self):
        text = "Serving on http://127.0.0.1:1\n\ntestbed: the port is taken\nUsage: testbed\n"
        self.assertEqual(servers.first_complaint(text), "testbed: the port is taken")


class Numbers(unittest.TestCase):
    def test_ratios_are_of_the_same_round(self):
        results = results_of(kirsch=[200, None, 90], limit=[100, 100, 90])
        self.assertEqual(results.ratios("rate", ("c", "kirsch", ""), ("c", "limit", "")), [2.0, 1.0])

    def test_what_was_not_measured_has_no_ratio(self):
        results = results_of(kirsch=[1])
        self.assertEqual(results.ratios("p999", ("c", "kirsch", ""), ("c", "kirsch", "")), [])
        self.assertEqual(results.ratios("rate", ("c", "kirsch", ""), ("c", "hyper", "")), [])

    def test_verdicts(self):
        for side, bound, values, verdict in [
            ("at most", 1.1, [1.0, 1.1, 1.2], "held"),
            ("at least", 2.0, [2.5], "held"),
            ("at least", 2.0, [1.0], "missed by 50%"),
            ("at most", 1.0, [0.9, 1.1, 1.2], "missed by 10%, within the spread"),
            ("at most", 0, [3], "missed by 3"),
            ("at most", 1.0, [], "not in this run"),
        ]:
            self.assertEqual(numbers.Goal("", side, bound, values).verdict, verdict)

    def test_the_spread_is_shown(self):
        self.assertEqual(numbers.Goal("", "at most", 1, [1.0, 1.1, 1.2, 1.3, 1.4]).measured, "1.20 (1.10 to 1.30)")
        self.assertEqual(numbers.Goal("", "at most", 1, [45]).measured, "45")
        self.assertEqual(numbers.Goal("", "at most", 1).measured, "-")

    def test_goals_of_an_empty_run_are_all_open(self):
        goals = numbers.goals(Results())
        self.assertGreater(len(goals), 25)
        self.assertEqual({goal.verdict for goal in goals}, {"not in this run"})

    def test_a_goal_that_could_not_be_looked_at_says_why(self):
        goals = numbers.goals(Results(), system_calls="strace is missing")
        self.assertIn("strace is missing", {goal.verdict for goal in goals})

    def test_goals_name_cases_and_variants_that_exist(self):
        """Each ratio of a full run has both of its sides."""
        results = Results()
        for case in CASES:
            for server in case.servers:
                found = {variant.label: loads.Measured(1, 1.0, 1.0, 1.0, 1.0, 0, 1.0, 1.0, 1) for variant in case.variants}
                results.add(case.name, server, 0, found)
        profiles = [(profile, name) for profile in ("dev", "release") for name in ("kirsch", "axum")]
        calls, cold = {"kirsch": {"read": 1.0}}, ({"kirsch": 45}, dict.fromkeys(profiles, (9.0, 17.0)))
        self.assertTrue(all(goal.values for goal in numbers.goals(results, calls, 0, cold)))


class Report(unittest.TestCase):
    case = Case("c", "Note.", (Variant("", None),))

    def test_a_row_has_ratios_and_dashes_for_what_is_not_known(self):
        results = results_of(limit=[100, 100], kirsch=[110, 130])
        last = report.case_table(self.case, ["limit", "kirsch"], results).splitlines()[-1]
        self.assertEqual(last, "| kirsch | 120 | 1.20 | 4.00 | 1.00 | 1.00 | 3.00 | 0.100 | 0.200 | - | 2.0 | 0 |")

    def test_problems_stand_below_the_table_once(self):
        results = results_of(limit=[100])
        for _ in range(2):
            results.complain("c", "kirsch", "did not start: no")
        lines = report.case_table(self.case, ["limit", "kirsch"], results).splitlines()
        self.assertEqual(lines[-2:], ["", "* kirsch did not start: no"])

    def test_cold_builds_show_time_and_work(self):
        builds = {("dev", "kirsch"): (9.2, 17.0), ("release", "kirsch"): (12.0, 23.8)}
        self.assertEqual(report.cold_table(({"kirsch": 45}, builds)).splitlines()[-1], "| kirsch | 45 | 9 | 17 | 12 | 24 |")

    def test_the_plot_has_a_bar_for_each_server(self):
        picture = report.plot("c", ["limit", "kirsch"], results_of(limit=[1], kirsch=[1]))
        self.assertEqual(picture.count("<rect"), 5)
        self.assertEqual(report.plot("c", ["limit"], Results()), "")


if __name__ == "__main__":
    unittest.main()
