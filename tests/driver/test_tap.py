# SPDX-License-Identifier: MIT
"""The reader of TAP is what every number that tools/test prints rests on."""

import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

from tap import Reader

HERE = pathlib.Path(__file__).parent


def counts(text, status=0):
    reader = Reader()
    for line in textwrap.dedent(text).strip("\n").splitlines():
        reader.line(line)
    done = reader.finish(status)
    return done.passed, done.failed, done.skipped


class Flat(unittest.TestCase):
    def test_cases_count(self):
        self.assertEqual(counts("1..3\nok 1 - a\nnot ok 2 - b\n# why\nok 3 - c"), (2, 1, 0))

    def test_cmocka_sums_up_in_a_comment(self):
        self.assertEqual(counts("1..2\nok 1 - a\nok 2 - b\n# ok - group"), (2, 0, 0))
        self.assertEqual(counts("1..1\nnot ok 1 - a\n# not ok - group", 1), (0, 1, 0))

    def test_skipped_is_neither(self):
        self.assertEqual(counts("1..2\nok 1 - a # SKIP no camera\nok 2 - b"), (1, 0, 1))

    def test_a_plan_may_stand_at_the_end(self):
        self.assertEqual(counts("ok 1 - a\n1..1"), (1, 0, 0))

    def test_a_plan_that_is_not_done_fails(self):
        self.assertEqual(counts("1..3\nok 1 - a\nok 2 - b"), (2, 1, 0))

    def test_a_program_without_a_plan_fails(self):
        self.assertEqual(counts("ok 1 - a"), (1, 1, 0))
        self.assertEqual(counts(""), (0, 1, 0))

    def test_a_program_that_dies_fails_whatever_it_said(self):
        self.assertEqual(counts("1..1\nok 1 - a", -11), (1, 1, 0))
        self.assertEqual(counts("1..1\nok 1 - a", 23), (1, 1, 0))

    def test_a_failure_is_counted_once(self):
        self.assertEqual(counts("1..2\nok 1 - a\nnot ok 2 - b", 1), (1, 1, 0))

    def test_other_lines_are_no_results(self):
        self.assertEqual(counts("okay then\n1..1\nnothing\nok 1 - a\nbook 2"), (1, 0, 0))


class Nested(unittest.TestCase):
    def test_a_block_is_not_a_case(self):
        self.assertEqual(counts("""
            TAP version 13
            # Subtest: outer
                # Subtest: inner
                ok 1 - inner
                ok 2 - other
                1..2
            ok 1 - outer
            ok 2 - alone
            1..2
            """), (3, 0, 0))

    def test_a_failed_leaf_counts_once(self):
        self.assertEqual(counts("""
                    not ok 1 - leaf
                    1..1
                not ok 1 - middle
                ok 2 - leaf
                1..2
            not ok 1 - outer
            1..1
            """, 1), (1, 1, 0))

    def test_a_block_that_fails_by_itself_counts(self):
        self.assertEqual(counts("""
                ok 1 - leaf
                1..1
            not ok 1 - outer
            1..1
            """, 1), (1, 1, 0))


class PythonCases(unittest.TestCase):
    def run_folder(self, text):
        done = self.said_of(text)
        return counts(done.stdout, done.returncode)

    def said_of(self, text):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "test_it.py").write_text(textwrap.dedent(text))
            return subprocess.run([sys.executable, HERE / "pytests.py", folder],
                                  capture_output=True, text=True, check=False)

    def test_a_failure_says_where_it_was_and_of_what(self):
        said = self.said_of("""
            import unittest

            class Cases(unittest.TestCase):
                def test_sub(self):
                    for n in range(3):
                        with self.subTest(n=n):
                            self.assertNotEqual(n, 1)
            """).stdout
        self.assertIn("(n=1)", said)
        self.assertIn("line 8, in test_sub", said)
        self.assertNotIn("unittest/case.py", said)

    def test_all_verdicts(self):
        self.assertEqual(self.run_folder("""
            import unittest

            class Cases(unittest.TestCase):
                def test_good(self):
                    pass

                def test_bad(self):
                    self.fail("bad")

                def test_error(self):
                    raise OSError("x")

                def test_sub(self):
                    for n in range(3):
                        with self.subTest(n=n):
                            self.assertNotEqual(n, 1)

                @unittest.skip("not here")
                def test_skipped(self):
                    pass
            """), (1, 3, 1))

    def test_set_up_and_cleanup_of_a_class_count_when_they_fail(self):
        self.assertEqual(self.run_folder("""
            import unittest

            class Before(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    raise OSError("x")

                def test_never(self):
                    pass

            class After(unittest.TestCase):
                @classmethod
                def setUpClass(cls):
                    cls.addClassCleanup(cls.fail, cls(), "x")

                def test_good(self):
                    pass
            """), (1, 2, 0))

    def test_a_file_that_cannot_be_read_fails(self):
        self.assertEqual(self.run_folder("import no_such_module"), (0, 1, 0))
        self.assertEqual(self.run_folder(""), (0, 1, 0))


if __name__ == "__main__":
    unittest.main()
