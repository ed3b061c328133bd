"""Class names for timing: made up, the same on every machine, and about as long as those of real data sets.

What is left to compute for a class is its name, so the length of names decides what one more class costs. ImageNet's
names as torchvision lists them have 1.9 tokens on average, 54 % of them two and 16 % three or more, at most seven. Here
it is 2.2 on average, with the same tail: there are not enough single words of one token for ImageNet's 30 %.
"""

from __future__ import annotations

import random
from functools import lru_cache

from craft.clip.openai import count_tokens

FIRST = """
    black white grey red golden silver spotted striped banded crested ruffed long-haired short-haired
    wire-haired giant dwarf common great lesser northern southern eastern African Egyptian Siamese Bornean
    Tibetan Alpine Cuban mountain river desert arctic coral garden kitchen electric acoustic portable folding
    wooden stone steel paper military racing freight fishing dining horned tailed venomous
""".split()  # noqa: SIM905 (readable as text)
LAST = """
    dog cat fox wolf bear lynx mongoose armadillo platypus wallaby orangutan macaque capuchin salamander axolotl
    iguana chameleon crocodile triceratops python viper scorpion tarantula centipede peacock ptarmigan
    hummingbird toucan flamingo albatross lobster isopod nautilus slug trout barracouta sturgeon starfish dahlia
    hibiscus chrysanthemum bougainvillea magnolia mushroom stinkhorn acorn cauliflower zucchini artichoke
    pomegranate guacamole carbonara tiramisu ravioli pretzel bagel abacus accordion ambulance apron balloon
    barometer bassoon bicycle bobsled bookcase bucket carousel castle chainsaw chair chiffonier cleaver colander
    cradle dishwasher drum envelope espresso fountain gondola guillotine hammer harmonica hourglass jersey
    kimono ladle lampshade lighthouse limousine maraca microscope minivan monastery mosque nail obelisk oboe
    odometer padlock parachute pier plane planetarium plow projector purse quilt reel refrigerator sarong
    schooner screwdriver seesaw snorkel spatula stretcher stupa submarine syringe teapot thimble tractor
    trombone turnstile umbrella vase viaduct violin wardrobe whistle yurt forest glacier volcano geyser lakeside
    bus ship truck cab cup key mug net pin rug tie web
""".split()  # noqa: SIM905 (readable as text)
PARTS = ("beak", "case", "club", "cover", "dispenser", "house", "machine", "market", "rack", "room", "shop", "track")


#: share of names with 1, 2, … tokens
LENGTHS = (0.10, 0.68, 0.14, 0.05, 0.02, 0.005, 0.005)


@lru_cache(maxsize=4)
def class_names(count: int) -> tuple[str, ...]:
    """The first ``count`` of one fixed sequence of different names."""
    draw = random.Random(7)
    names: dict[str, None] = {}
    while len(names) < count:
        wanted = draw.choices(range(1, 1 + len(LENGTHS)), LENGTHS)[0]
        for _ in range(500):  # one-token names run out beyond a thousand: another length is drawn then
            words = [draw.choice(LAST)]
            if draw.random() < 0.7:
                words.insert(0, draw.choice(FIRST))
            if draw.random() < 0.3:
                words.append(draw.choice(PARTS))
            name = " ".join(words)
            if name not in names and count_tokens(name) == wanted:
                names[name] = None
                break
    return tuple(names)
