"""Layouts of Caltech101: the authors' folder of categories, under whatever name (torchvision's is ``caltech101/``)."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

CLASSES = """
    BACKGROUND_Google Faces Faces_easy Leopards Motorbikes accordion airplanes anchor ant barrel bass beaver binocular
    bonsai brain brontosaurus buddha butterfly camera cannon car_side ceiling_fan cellphone chair chandelier
    cougar_body cougar_face crab crayfish crocodile crocodile_head cup dalmatian dollar_bill dolphin dragonfly
    electric_guitar elephant emu euphonium ewer ferry flamingo flamingo_head garfield gerenuk gramophone grand_piano
    hawksbill headphone hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop llama lobster
    lotus mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda pigeon pizza platypus pyramid
    revolver rhino rooster saxophone schooner scissors scorpion sea_horse snoopy soccer_ball stapler starfish
    stegosaurus stop_sign strawberry sunflower tick trilobite umbrella watch water_lilly wheelchair wild_cat
    windsor_chair wrench yin_yang
"""

LAYOUTS = Layouts(
    folders=("caltech101", "caltech-101", "caltech_101", "101_ObjectCategories", "Homework2-Caltech101"),
    classes=tuple(CLASSES.split()),
    also={
        "airplanes": ("airplane",),
        "Faces": ("face",),
        "Leopards": ("leopard",),
        "Motorbikes": ("motorbike",),
        "water_lilly": ("water_lily",),
        "BACKGROUND_Google": ("background",),
    },
    images=(
        Images(
            "folders of categories",
            r"(?P<cls>[^/]+)/image_(?P<n>\d{1,4})\.jpe?g",
            "101_ObjectCategories/{cls}/image_{n:04}.jpg",
        ),
        Images(
            "folders of categories, images under names of their own",
            r"(?P<part>train|val|valid|validation|test)/(?P<cls>[^/]+)/(?P<name>[^/]+)",
            "101_ObjectCategories/{cls}/{part}_{name}",
            numbered=False,
        ),
    ),
    strangers=(Stranger("Caltech-256", r"(?:^|/)\d{3}\.[^/]+/\d{3}_\d{4}\.jpg$", "it is another set of images"),),
)
