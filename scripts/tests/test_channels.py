"""Every literal channel in a statement is a constant of shared/src/delivery.rs."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHANNELS = set(re.findall(r'pub const \w+: &str = "(\w+)";', (ROOT / "shared/src/delivery.rs").read_text()))


def unknown(text: str) -> list[str]:
    """Channels of a text that the list does not have."""
    return [name for name in re.findall(r"pg_notify\('(\w+)'|NOTIFY (\w+)", text) for name in name if name and name not in CHANNELS]


class Channels(unittest.TestCase):
    def test_every_channel_of_a_statement_is_a_constant(self):
        sources = [path for folder in ["api/src", "worker/src"] for path in (ROOT / folder).rglob("*") if path.suffix in {".rs", ".sql"}]
        notifying = [path for path in sources if "pg_notify('" in path.read_text()]
        self.assertGreater(len(notifying), 3, "the statements were not found")
        for path in sources:
            with self.subTest(path):
                self.assertEqual(unknown(path.read_text()), [])

    def test_an_unknown_channel_is_found(self):
        self.assertEqual(unknown("SELECT pg_notify('execution_change', '')"), ["execution_change"])


if __name__ == "__main__":
    unittest.main()
