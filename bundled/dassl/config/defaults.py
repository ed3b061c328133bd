"""Every key of Dassl 0.6.3 with its default. Plain data; yacs takes the type of a key from its default."""

from yacs.config import CfgNode

INPUT = {
    "SIZE": (224, 224),  # height, width
    "INTERPOLATION": "bilinear",  # bilinear, bicubic or nearest
    "TRANSFORMS": (),  # names in dassl.data.transforms
    "NO_TRANSFORM": False,  # True: the loaders yield PIL images
    "PIXEL_MEAN": [0.485, 0.456, 0.406],
    "PIXEL_STD": [0.229, 0.224, 0.225],
    "CROP_PADDING": 4,  # random_crop, pixels
    "RRCROP_SCALE": (0.08, 1.0),  # random_resized_crop, share of the area
    "CUTOUT_N": 1,
    "CUTOUT_LEN": 16,  # pixels
    "GN_MEAN": 0.0,  # gaussian_noise
    "GN_STD": 0.15,
    "RANDAUGMENT_N": 2,  # operations an image
    "RANDAUGMENT_M": 10,  # magnitude, 0 to 30
    "COLORJITTER_B": 0.4,
    "COLORJITTER_C": 0.4,
    "COLORJITTER_S": 0.4,
    "COLORJITTER_H": 0.1,
    "RGS_P": 0.2,  # randomgrayscale, probability
    "GB_P": 0.5,  # gaussian_blur, probability
    "GB_K": 21,  # gaussian_blur, kernel size, odd
}

DATASET = {
    "ROOT": "",
    "NAME": "",
    "SOURCE_DOMAINS": (),
    "TARGET_DOMAINS": (),
    "NUM_LABELED": -1,  # labelled images in total (semi-supervised data sets)
    "NUM_SHOTS": -1,  # images a class; below 1: all
    "VAL_PERCENT": 0.1,
    "STL10_FOLD": -1,
    "CIFAR_C_TYPE": "",
    "CIFAR_C_LEVEL": 1,
    "ALL_AS_UNLABELED": False,
}

TRAIN_LOADER = {
    "SAMPLER": "RandomSampler",
    "BATCH_SIZE": 32,
    "N_DOMAIN": 0,  # RandomDomainSampler: domains a batch; below 1: all
    "N_INS": 16,  # RandomClassSampler: images a class in a batch
}

DATALOADER = {
    "NUM_WORKERS": 4,
    "K_TRANSFORMS": 1,  # views of each training image
    "RETURN_IMG0": False,  # also give the image without augmentation, as "img0"
    "TRAIN_X": TRAIN_LOADER,
    "TRAIN_U": {"SAME_AS_X": True, **TRAIN_LOADER},
    "TEST": {"SAMPLER": "SequentialSampler", "BATCH_SIZE": 32},
}

MODEL = {
    "INIT_WEIGHTS": "",
    "BACKBONE": {"NAME": "", "PRETRAINED": True},
    "HEAD": {"NAME": "", "HIDDEN_LAYERS": (), "ACTIVATION": "relu", "BN": True, "DROPOUT": 0.0},
}

OPTIM = {
    "NAME": "adam",
    "LR": 0.0003,
    "WEIGHT_DECAY": 5e-4,
    "MOMENTUM": 0.9,
    "SGD_DAMPNING": 0,
    "SGD_NESTEROV": False,
    "RMSPROP_ALPHA": 0.99,
    "ADAM_BETA1": 0.9,
    "ADAM_BETA2": 0.999,
    "STAGED_LR": False,  # True: LR for NEW_LAYERS, LR * BASE_LR_MULT for all others
    "NEW_LAYERS": (),
    "BASE_LR_MULT": 0.1,
    "LR_SCHEDULER": "single_step",
    "STEPSIZE": (-1,),  # below 1: MAX_EPOCH
    "GAMMA": 0.1,
    "MAX_EPOCH": 10,
    "WARMUP_EPOCH": -1,  # below 1: no warm-up
    "WARMUP_TYPE": "linear",  # linear or constant
    "WARMUP_CONS_LR": 1e-5,
    "WARMUP_MIN_LR": 1e-5,
    "WARMUP_RECOUNT": True,  # the schedule after the warm-up starts from its own epoch 0
}

TRAIN = {
    "CHECKPOINT_FREQ": 0,  # epochs; below 1: only the last
    "PRINT_FREQ": 10,  # batches
    "COUNT_ITER": "train_x",  # train_x, train_u or smaller_one: the loader that ends an epoch
}

TEST = {
    "EVALUATOR": "Classification",
    "PER_CLASS_RESULT": False,
    "COMPUTE_CMAT": False,  # save the confusion matrix to <OUTPUT_DIR>/cmat.pt
    "NO_TEST": False,
    "SPLIT": "test",
    "FINAL_MODEL": "last_step",  # or best_val
}

# The trainers behind these nodes are upstream's; the keys are kept so that its yaml files load.
TRAINER = {
    "NAME": "",
    "MCD": {"N_STEP_F": 4},
    "MME": {"LMDA": 0.1},
    "CDAC": {
        "CLASS_LR_MULTI": 10,
        "RAMPUP_COEF": 30,
        "RAMPUP_ITRS": 1000,
        "TOPK_MATCH": 5,
        "P_THRESH": 0.95,
        "STRONG_TRANSFORMS": (),
    },
    "SE": {"EMA_ALPHA": 0.999, "CONF_THRE": 0.95, "RAMPUP": 300},
    "M3SDA": {"LMDA": 0.5, "N_STEP_F": 4},
    "DAEL": {"WEIGHT_U": 0.5, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
    "CROSSGRAD": {"EPS_F": 1.0, "EPS_D": 1.0, "ALPHA_F": 0.5, "ALPHA_D": 0.5},
    "DDAIG": {
        "G_ARCH": "",
        "LMDA": 0.3,
        "CLAMP": False,
        "CLAMP_MIN": -1.0,
        "CLAMP_MAX": 1.0,
        "WARMUP": 0,
        "ALPHA": 0.5,
    },
    "DAELDG": {"WEIGHT_U": 0.5, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
    "DOMAINMIX": {"TYPE": "crossdomain", "ALPHA": 1.0, "BETA": 1.0},
    "ENTMIN": {"LMDA": 1e-3},
    "MEANTEACHER": {"WEIGHT_U": 1.0, "EMA_ALPHA": 0.999, "RAMPUP": 5},
    "MIXMATCH": {"WEIGHT_U": 100.0, "TEMP": 2.0, "MIXUP_BETA": 0.75, "RAMPUP": 20000},
    "FIXMATCH": {"WEIGHT_U": 1.0, "CONF_THRE": 0.95, "STRONG_TRANSFORMS": ()},
}

_C = CfgNode(
    {
        "VERSION": 1,
        "OUTPUT_DIR": "./output",
        "RESUME": "",  # folder of an earlier run to go on from
        "SEED": -1,  # below 0: random
        "USE_CUDA": True,
        "VERBOSE": True,
        "INPUT": INPUT,
        "DATASET": DATASET,
        "DATALOADER": DATALOADER,
        "MODEL": MODEL,
        "OPTIM": OPTIM,
        "TRAIN": TRAIN,
        "TEST": TEST,
        "TRAINER": TRAINER,
    }
)
