"""What CIFAR-10 is: its classes, its sizes, and the digests of its official files."""

import hashlib

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VEHICLES = (0, 1, 8, 9)  # airplane, automobile, ship, truck
ANIMALS = (2, 3, 4, 5, 6, 7)  # bird, cat, deer, dog, frog, horse
GROUPED = (*VEHICLES, *ANIMALS)  # the order in which a confusion matrix shows the two groups as blocks

SIDE = 32  # pixels
N_CLASSES = len(CLASS_NAMES)
N_TRAIN, N_TEST = 50_000, 10_000
N_TRAINABLE = 45_000  # images 45,000-49,999 are always the validation set
HELD_OUT = slice(40_000, N_TRAINABLE)  # a second test set for networks that were trained on the images before

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_BYTES = 170_498_071
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
FOLDER = "cifar-10-batches-py"  # in the archive
BATCH_SHA256 = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}


def digest() -> str:
    """Return one digest for all six batches: of their digests, since each is verified by its own."""
    return hashlib.sha256("".join(BATCH_SHA256.values()).encode()).hexdigest()
