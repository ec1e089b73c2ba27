"""A course export with one of every oddity, and what must be counted in it."""

from pathlib import Path
from typing import Any

STEM = "RiverU-Tree-1"
COURSE = "course-v1:RiverU+Tree+1"
KEY = "Tree_1"

FILES = {
    "course.xml": '<course url_name="root" org="RiverU" course="Tree"/>',
    # The start has quotes of its own; the end is in the policy only.
    "course/root.xml": """
        <course display_name="Trees" start="&quot;2016-02-01T00:00:00Z&quot;">
          <!-- chapters stand in a wrapper as well -->
          <chapter url_name="one"/>
          <wrapper><chapter url_name="two"/></wrapper>
          <chapter url_name="three"><sequential url_name="inline"><vertical url_name="page"/>
            <chapter url_name="inside"/></sequential></chapter>
          <chapter url_name="nowhere"/>
          <wiki slug="RiverU.Tree.1"/>
        </course>""",
    "policies/root/policy.json": """
        {"course/root": {"start": "2010-01-01T00:00:00Z", "end": "\\"2016-02-16T00:00:00Z\\""},
         "course/other": {"end": "2001-01-01T00:00:00Z"}}""",
    "chapter/one.xml": '<chapter><sequential url_name="a:b"/><problem weight="3"/></chapter>',
    # A colon in a name is a folder.
    "sequential/a/b.xml": """
        <sequential>
          <vertical url_name="weights"/><vertical url_name="leaves"/>
          <video url_name="beside_the_pages"/>
        </sequential>""",
    "vertical/weights.xml": """
        <vertical>
          <problem url_name="w1" weight="1"/><problem url_name="w2" weight=""/>
          <problem url_name="w3" weight="null"/><problem url_name="w4" weight="0"/>
          <problem url_name="w5" weight="-1"/><problem url_name="w6"/>
          <problem url_name="linked"/><problem url_name="missing"/>
          <problem url_name="broken" weight="2"/>
        </vertical>""",
    "problem/linked.xml": '<problem weight="0.5"><video url_name="not_on_the_page"/></problem>',
    "problem/broken.xml": "<problem weight='9'><p>unclosed",
    "problem/empty.xml": "",
    "vertical/leaves.xml": """
        <vertical>
          <?instruction nobody="reads"?>
          <video url_name="v"/><html url_name="h"/><html url_name="h2" filename="h2"/>
          <discussion discussion_id="d"/><poll/><openassessment/>
          <problem url_name="empty"/>
          <split_test><vertical><html/><video/></vertical></split_test>
          <library_content url_name="lib"><problem weight="1"/></library_content>
        </vertical>""",
    # The page is linked from an inline sequence; it names itself again.
    "vertical/page.xml": '<vertical><html url_name="deep"/><vertical url_name="page"/></vertical>',
    "html/deep.xml": '<html filename="deep" display_name="deep"/>',
    "chapter/two.xml": '<chapter><sequential><vertical url_name="two"/></sequential></chapter>',
    "vertical/two.xml": '<vertical><discussion url_name="d2"/></vertical>',
    "drafts/vertical/two.xml": "<vertical><video/><video/></vertical>",
}
EXPECTED: dict[str, Any] = {
    "course": KEY,
    "mongoname": COURSE,
    "course_launch_date": "2016-02-01",
    "course_close_date": "2016-02-16",
    "course_length": 3,
    "nchapters": 4,
    "nvideos": 1,
    "nhtmls": 3,
    "nassessments": 10,
    "nsummative_assessments": 3,
    "nformative_assessments": 7,
    "nincontent_discussions": 2,
    "nactivities": 5,
    "nregistered_students": 0,
    "nviewed_students": 0,
    "registration_open_date": None,
}


def write_tree(folder: Path) -> None:
    """Write the export below the folder of a package's dumps."""
    for name, text in FILES.items():
        path = folder / STEM / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.strip(), encoding="utf-8")
