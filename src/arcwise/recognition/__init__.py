"""Recognition: a model and its gallery, opened once, and what they answer. No torch.

recogniser   the calls: embed, search, verify, enrol
new_templates  what is enrolled of embedded images
opening      a gallery and the model that its vectors come from
images       what is asked about, from anywhere
objects      several of them in one image, by a detector or in boxes
thresholds   which similarity decides
together     several images taken for one
growing      strangers who come back become identities
quality      the least that an image must have
occlusion    which parts of an image a similarity rests on
recorded     what a template records of its images
answers      what comes back
"""

from arcwise.recognition.answers import Answer, SearchResult, Verified
from arcwise.recognition.growing import Growth, Sighting
from arcwise.recognition.recogniser import Recogniser

__all__ = ["Answer", "Growth", "Recogniser", "SearchResult", "Sighting", "Verified"]
