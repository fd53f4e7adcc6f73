"""What the bench itself must hold: `python -m unittest` in this folder; the tests of the repository call it."""

import os
import socket
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree

import bench
import cases
import plot
import readme
import report
import servers
from contest import Bench, Case, Contender, Found
from measure import Figure


def case(contenders: list[Contender], check=Found) -> Case:
    return Case("moves", "a to b", contenders, lambda: None, check, 1_000_000)


class BenchTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.bench = Bench("airlock", "tools", self.folder.name, 1000)

    def results(self) -> dict:
        results = report.Results(
            {"airlock": [Figure(1, 2, 1 << 20, 0), Figure(1, 3, 2 << 20, 1)], "slow | one": [Figure(4, 35, 3 << 20, 0)]},
            {"gone": "it could not be installed\nmore of it"}, {"airlock": [], "slow | one": ["other types"]}, {"airlock": 5_000_000},
        )
        each = report.case(case([]), results)
        return {"rows": 1000, "rounds": 2, "machine": "2 x any", "date": "2026-01-02", "versions": {"gone": "1"},
                "cases": [each], "large": [each], "large_rows": 6000}

    def test_who_fails_is_told_and_others_are_measured(self) -> None:
        contenders = [Contender("airlock", ["true"]), Contender("bad", ["sh", "-c", "echo why >&2; exit 3"]),
                      Contender("absent", ["none"], program="/no/such/program")]
        found = bench.run_case(case(contenders), self.bench, 2)
        self.assertEqual(list(found.figures), ["airlock"])
        self.assertEqual(len(found.figures["airlock"]), 2)
        self.assertEqual(found.missing, {"absent": "program could not be installed", "bad": "exit code 3: why"})

    def test_wrong_output_has_no_figures_and_ours_must_keep_types(self) -> None:
        both = [Contender("airlock", ["true"]), Contender("other", ["true"])]
        found = bench.run_case(case(both, lambda: Found(types="a became b")), self.bench, 1)
        self.assertEqual((found.missing, list(found.figures)), ({"airlock": "a became b"}, ["other"]))
        self.assertEqual(found.notes["other"], ["a became b"])
        found = bench.run_case(case(both, lambda: Found("7 rows are missing")), self.bench, 1)
        self.assertEqual((sorted(found.missing), found.figures), (["airlock", "other"], {}))

    def test_the_table_says_what_is_slow_missing_or_of_other_types(self) -> None:
        ours, other, gone = report.rows(self.results())
        self.assertEqual(ours[2:9], ["1.00 (1.00-1.00)", "0.50", "2.50 (2.00-3.00)", "667", "2", "5.0", ""])
        self.assertEqual(other[8:], ["0.25 (0.25-0.25)", "0.06 (0.06-0.06)", "slow: 1 round; other types"])
        self.assertEqual(gone[-1], "missing: it could not be installed … more of it")
        self.assertIn("MiB, 6,000 rows", report.table(self.results()))

    def test_readme_has_the_table_between_its_markers(self) -> None:
        section = readme.section(self.results())
        text = readme.between(f"before\n{readme.BEGIN}\nold\n{readme.END}\nbehind\n", section)
        self.assertTrue(text.startswith("before\n") and text.endswith("behind\n"))
        self.assertIn("2026-01-02, 2 x any", text)
        self.assertIn("| moves | slow \\| one |", text)
        self.assertEqual(readme.between(text, section), text)
        with self.assertRaises(SystemExit):
            readme.between("no markers", section)
        with open(readme.PATH, encoding="utf-8") as file:
            readme.between(file.read(), section)

    def test_the_plot_has_a_bar_for_each_program(self) -> None:
        root = xml.etree.ElementTree.fromstring(plot.draw(self.results()))
        words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
        for name in ("airlock", "slow | one", "gone"):
            self.assertEqual(words.count(name), 1, name)

    def test_sums_of_streams_are_foretold(self) -> None:
        for kind, first, step in cases.STREAM:
            for rows in (0, 1, 7):
                values = [first + step * row for row in range(rows)]
                words = [word for value in values for word in ([value, 0] if "decimal" in kind else [value])]
                wanted = sum(word * (2 * index + 1) for index, word in enumerate(words)) % (1 << 64)
                self.assertEqual(cases.foretold(first, step, 2 if "decimal" in kind else 1, rows), wanted)

    def test_all_files_of_the_bench_are_short(self) -> None:
        folder = os.path.dirname(os.path.abspath(__file__))
        for name in os.listdir(folder):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    self.assertLess(len(file.readlines()), 600, name)


def runs(pid: int) -> bool:
    """Whether a process has not ended; one that nobody asked after yet has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Stuck(servers.MariaDb):
    """One whose program runs and never answers."""

    START_SECONDS = 0
    ended: subprocess.Popen[bytes] | None = None

    def _stop(self) -> None:
        self.ended = self.process
        super()._stop()


class ServersTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # The servers' own users pass through it.
        os.chmod(folder.name, 0o755)
        self.folder = os.path.join(folder.name, "server")

    def test_a_server_is_there_for_a_block(self) -> None:
        for kind in (servers.PostgreSql, servers.MariaDb):
            with kind(self.folder) as server:
                self.assertEqual(server.sql("select 1"), "1")
                pid = server.pid
                self.assertTrue(runs(pid))
            # PostgreSQL's last act is to take its file away, for which its stop waits.
            until = time.monotonic() + 60
            while runs(pid) and time.monotonic() < until:
                time.sleep(0.01)
            self.assertFalse(runs(pid))
            self.assertFalse(os.path.exists(self.folder))

    def test_a_server_that_cannot_start_leaves_nothing(self) -> None:
        for kind in (servers.PostgreSql, servers.MariaDb):
            server = kind(self.folder)
            with socket.socket() as other:
                other.bind(("127.0.0.1", server.port))
                other.listen()
                with self.assertRaisesRegex(RuntimeError, "(?s)does not start: .*[Aa]ddress already in use"):
                    server.start()
            self.assertFalse(os.path.exists(self.folder))
            self.assertIsNone(server.pid)

    def test_a_server_that_does_not_answer_is_ended(self) -> None:
        server = Stuck(self.folder)
        server.PROGRAM = os.path.join(os.path.dirname(self.folder), "stuck")
        with open(server.PROGRAM, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec sleep 600\n")
        os.chmod(server.PROGRAM, 0o755)
        with self.assertRaisesRegex(RuntimeError, "does not start"):
            server.start()
        self.assertIsNotNone(server.ended.returncode)
        self.assertFalse(os.path.exists(self.folder))


if __name__ == "__main__":
    unittest.main()
