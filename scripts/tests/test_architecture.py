"""What docs/architecture.md names exists."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/architecture.md").read_text()


class Architecture(unittest.TestCase):
    def test_every_function_it_names_exists(self):
        named = re.findall(r"`([\w/.-]+\.rs):(\w+)`", PAGE)
        self.assertGreater(len(named), 12, "the page was not read as it should be")
        for path, function in named:
            with self.subTest(f"{path}:{function}"):
                self.assertRegex((ROOT / path).read_text(), rf"\bfn {function}\b")

    def test_every_path_it_names_exists(self):
        named = re.findall(r"`((?:api|worker|crates|shared|scripts|tests)/[\w/.-]*)", PAGE)
        for path in named:
            with self.subTest(path):
                self.assertTrue((ROOT / path).exists())


if __name__ == "__main__":
    unittest.main()
