"""Class names for timing: made up, the same on every machine, and about as long as those of real data sets.

Lengths follow ImageNet's roughly: one to four words, one to eight tokens.
"""

from __future__ import annotations

import random

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


def class_names(count: int) -> list[str]:
    """The first ``count`` of one fixed sequence of different names."""
    draw = random.Random(7)
    names: dict[str, None] = {}
    while len(names) < count:
        words = [draw.choice(LAST)]
        kind = draw.random()
        if kind > 0.3:
            words.insert(0, draw.choice(FIRST))
        if kind > 0.75:
            words.append(draw.choice(PARTS))
        if kind > 0.93:
            words.insert(0, draw.choice(FIRST))
        names[" ".join(words)] = None
    return list(names)
