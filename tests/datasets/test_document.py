"""DATASETS.md says what the readers declare: its tables, layouts, sources and texts are written, never typed."""

import re

import pytest

from craft.common.errors import UserError
from craft.datasets.registry import READERS
from craft.datasets.tools import document
from craft.datasets.tools.command import main
from tests.conftest import PROJECT

TEXT = (PROJECT / "DATASETS.md").read_text()
DECLARED = [name for name, reader in READERS.items() if reader.files]


def test_the_document_is_what_is_generated():
    assert document.filled(TEXT) == TEXT, "run `craft data document DATASETS.md`"
    assert {found[1] for found in document.BLOCK.findall(TEXT)} == {"overview", "groups", *DECLARED}


def test_an_edited_part_is_noticed_and_written_anew(tmp_path, capsys):
    path = tmp_path / "DATASETS.md"
    path.write_text(TEXT.replace("4,128", "4,129") + "\nmine\n")
    assert main(["document", str(path), "--check"]) == 1 and "4,129" in path.read_text()
    assert main(["document", str(path)]) == 0 and path.read_text() == TEXT + "\nmine\n"
    assert main(["document", str(path), "--check"]) == 0
    assert main(["document", str(tmp_path / "none.md")]) == 1
    assert "there is no file" in capsys.readouterr().err
    with pytest.raises(UserError, match="did you mean: EuroSAT"):
        document.filled("<!-- craft data document: EuroSatt -->\n<!-- end -->")


@pytest.mark.parametrize("name", DECLARED)
def test_a_part_tells_what_a_reader_asks(name):
    """Sizes, licence, paper, sources; and the texts of three classes (all of sets that have fewer)."""
    reader, said = READERS[name], document.part(name)
    assert f"of {reader.expected.classes:,} classes" in said and f"{reader.expected.test:,} test" in said
    assert re.search(r"\*\*Paper\*\*: .*(19|20)\d\d", said) and "**Licence**: unknown" not in said
    for file in reader.files:
        assert (file.path in said or file.path == ".") and file.origin in said
    rows = re.findall(r"^\| `(.+?)`(?: \(read as `.+`\))? \| `(.+)` \|$", said, re.MULTILINE)
    assert len(rows) == min(3, reader.expected.classes)
    for cname, text in rows:
        assert text == reader.template.replace("{}", cname.replace("_", " "))
