"""Words that made-up people, courses and posts are put together from."""

import hashlib

ANIMALS = (
    "otter", "heron", "newt", "pike", "swan", "beaver", "dragonfly", "frog", "teal", "crayfish",
    "minnow", "kingfisher", "vole", "toad", "grebe", "eel", "snail", "mayfly", "perch", "coot",
)  # fmt: skip
GIVEN_NAMES = (
    "Ada", "Bo", "Chiara", "Dmitri", "Esi", "Farid", "Grete", "Hoshi", "Ines", "Jomo", "Kaya",
    "Lars", "Mei", "Noor", "Olu", "Pia", "Quim", "Rosa", "Søren", "Tala", "Uma", "Veli", "Wen",
)  # fmt: skip
FAMILY_NAMES = (
    "Brook", "Delta", "Estuary", "Ford", "Glen", "Marsh", "Reed", "Rivers", "Shoal", "Tarn",
    "Wade", "Weir", "Źródło", "川上", "O'Spring", "de la Fuente",
)  # fmt: skip
TOPICS = ("Bees", "Hives", "Ponds", "Moss", "Clouds", "Maps", "Ferns", "Tides", "Seeds", "Stones")
SUBJECTS = (
    "Dances", "Wings", "Honey", "Queens", "Larvae", "Swarms", "Flowers", "Wax", "Winter", "Mites",
    "Scouts", "Pollen", "Nests", "Stings", "Summer", "Drones",
)  # fmt: skip
ASPECTS = ("Basics of", "A closer look at", "The story of", "Counting", "Questions about")
POST_TITLES = (
    "Why do they do that?",
    "Question 3 seems wrong",
    "Hello from my garden",
    "Video stops half way",
    "Is there a deadline?",
    "Study group?",
    "A picture of my hive",
)
POST_SENTENCES = (
    "I watched the clip twice and still wonder.",
    "The answer box says incorrect, but I typed the same number.",
    "Thank you, that helps a lot!",
    "Has anybody else seen this?",
    "See the *second* page of week 1.",
    "I think it depends on the temperature.",
    "In our village it is done in spring.",
    "Please add subtitles.",
)
ODD_SENTENCES = (
    "It said \"NULL\" and 'none' :-\\",
    "Path is C:\\new\\table \N{HONEYBEE}\N{SUNFLOWER}",
    "A tab\there, a return\r\nthere.",
    "Line separator\u2028inside, 100% sure; $x$ is $\\frac{1}{2}$",
    "¿Qué es esto? Это пчела. 蜂です。",
)
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; WOW64) {WEBKIT} Chrome/48.0.2564.97 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:43.0) Gecko/20100101 Firefox/43.0",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_3) {WEBKIT} Version/9.0.3 Safari/601.4.4",
    f"Mozilla/5.0 (iPad; CPU OS 9_2 like Mac OS X) {WEBKIT} Version/9.0 Mobile/13C75",
    "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
)
MOBILE_AGENT = "Dalvik/2.1.0 (Linux; U; Android 6.0; Pond 3)"
LANGUAGES = ("en", "en-AU,en;q=0.8", "de-DE,de;q=0.8,en;q=0.6", "pt-BR,pt;q=0.8", "ja,en;q=0.5", "")


def hex_name(*parts: object) -> str:
    """32 hex digits that belong to these parts, the same in every run."""
    text = "/".join(str(part) for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def pick_number(below: int, *parts: object) -> int:
    """A number from 0 up to ``below`` that belongs to these parts, the same in every run."""
    return int(hex_name(*parts)[:12], 16) % below
