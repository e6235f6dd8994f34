"""The page of the study of cleaning, from its results."""

from __future__ import annotations

from typing import Any

from arcwise.evaluation.intervals import wilson

KNOWN = (
    ("Bart_Hendricks", "Ricky_Ray"),
    ("Carlos_Beltran", "Raul_Ibanez"),
    ("Choi_Sung-hong", "Sung_Hong_Choi"),
)
"""What is known to be wrong: two images under two names, pixel for pixel, and one person."""


def page(results: dict[str, Any]) -> str:
    parts = [HEAD]
    for data, about in ABOUT.items():
        runs = results.get(data, [])
        if not runs:
            continue
        first = runs[0]
        parts.append(
            f"## {data}\n\nSeed 0: {first['images']:,} images with labels of "
            f"{first['identities']:,} identities. {about}\n\n"
            "| suspected | errors | right | precision |\n| --- | --- | --- | --- |\n"
        )
        parts += [
            f"| {kind} | {mean([run['precision'][kind][1] for run in runs]):.0f} | "
            f"{mean([run['precision'][kind][0] for run in runs]):.0f} | "
            f"{share([run['precision'][kind] for run in runs])} |\n"
            for kind in first["precision"]
        ]
        parts.append(
            "\n| planted | how many | found by errors without a vote against | by all |\n"
            "| --- | --- | --- | --- |\n"
        )
        for name in first["recall"]["all"]:
            sure, every = ([run["recall"][of][name] for run in runs] for of in ("sure", "all"))
            parts.append(
                f"| {name} | {mean([one[1] for one in every]):.0f} | {share(sure)} | "
                f"{share(every)} |\n"
            )
        parts.append(
            "\n| from the beginning of the list | errors | precision | recall of all planted |\n"
            "| --- | --- | --- | --- |\n"
        )
        for place, part in enumerate(first["parts"]):
            along = [run["along"][place] for run in runs]
            parts.append(
                f"| {part:.0%} | {mean([one[1] for one in along]):.0f} | "
                f"{share([one[:2] for one in along])} | {share([one[2:] for one in along])} |\n"
            )
        parts.append(
            "\n| images called wrong by | images | precision | recall |\n"
            "| --- | --- | --- | --- |\n"
        )
        for name in first["alone"]:
            alone = [run["alone"][name] for run in runs]
            parts.append(
                f"| {name} | {mean([one[1] for one in alone]):.0f} | "
                f"{share([one[:2] for one in alone])} | "
                f"{share([[one[0], one[2]] for one in alone])} |\n"
            )
        targets = share([run["target"] for run in runs])
        parts.append(
            f"\nMoved images that are said to look like their true identity: {targets}.\n\n"
        )
    parts.append(of_candidates(results["lfw112"]))
    return "".join(parts) + TAIL


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def share(counts: list[list[int]]) -> str:
    """Return the share over all seeds, with the interval of as many as one seed has."""
    right, total = (mean([one[side] for one in counts]) for side in (0, 1))
    if total < 1:
        return "–"
    low, high = wilson(right, total)
    return f"{right / total:.3f} ({low:.3f} – {high:.3f})"


def of_candidates(found: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in found["errors"].items())
    sure = ", ".join(f"{count} {kind}" for kind, count in found["sure"].items())
    listed = [one for one in found["candidates"] if one["place"]]
    known = [one for one in listed if tuple(one["names"]) in KNOWN]
    no_vote = sum(one["sure"] for one in listed)
    median = sorted(one["place"] for one in listed)[len(listed) // 2]
    lines = [
        f"## LFW as it is\n\n{found['images']:,} images of {found['identities']:,} people: "
        f"{sum(found['errors'].values())} suspected errors ({counts}), "
        f"{sum(found['sure'].values())} of them with no vote against ({sure}). LFW has "
        f"{len(found['candidates'])} pairs of names with a cosine above 0.6 across them: "
        "candidates of wrong names that nobody has reviewed, twins and look-alikes among them. "
        f"{len(listed)} are found, {no_vote} with no vote against, half of them among the first "
        f"{median}. Of the {len(KNOWN)} where it is known that a name is wrong, {len(known)} are "
        "found.\n\n"
        "| names | nearest cosine | place in the list | kind | no vote against |\n"
        "| --- | --- | --- | --- | --- |\n"
    ]
    lines += [
        f"| {' / '.join(one['names']).replace('_', ' ')} | {one['similarity']:.3f} | "
        f"{one['place'] or 'not found'} | {one['kind']} | {'yes' if one['sure'] else ''} |\n"
        for one in found["candidates"]
    ]
    return "".join(lines) + "\n"


HEAD = """# Cleaning a labelled set

`python studies/cleaning.py SETS` measures these tables and keeps them in
[cleaning.json](cleaning.json). Labels are made wrong by a seed: 5 % of the images get the label of
another identity (*moved*), as many are of identities that have no label (*strangers*), a tenth of
the identities with four images or more get *two names*, a tenth of those with two or more *share a
name*. `arcwise data clean` then looks for them, without a calibration. An error is *sure* where no
vote is against it.

Numbers of errors are means of three seeds; of Grocery of three trainings, each with a seed of its
own. Intervals are Wilson's, 95 %, for as many as one seed has. A "member" is right where the image
is not of whom most images of the label are; a "split" where most of the images that are split off
are of another identity than most of the rest; a "merge" where most images of both are of one.

The last table of each set is of single images, by one vote alone, several of them, or the mean that
is nearest (what `arcwise data check --model` lists), in labels with three images or more.

"""

ABOUT = {
    "LFW, half": (
        "The half of LFW's people on which nothing was settled, without the candidates below. More "
        "of its names may be wrong, and count as found wrongly."
    ),
    "FG-NET": "Ages 0 to 69, years apart. Strangers are all of four people.",
    "Grocery": "Products that were not trained on. Strangers are all of one product.",
}

TAIL = """## What this says

- Nearly all of what was planted is found, on all three sets; the image that was moved is nearly
  always said to look like its true identity. What differs is how much else is found: little on LFW,
  much on FG-NET and Grocery, whose embeddings fall into many more clusters than identities
  ([clustering](clustering.md)). There, only what no vote is against is worth a look at first.
- Errors with a vote against are mostly images that are hard, not wrong. They come last.
- The dominant sub-centre is the most precise single vote on all three sets. "Neighbours" and
  "clusters" are of the same links, and often right or wrong together; where the sub-centre is
  against both, few errors are right.
- "Neighbours" alone is a poor vote on single images: people with two names link to the other name,
  and people who share a name link to each other.

## How it was settled

The kinds, the votes and the majority were written down first, and looked at on the half of LFW's
people that the tables do not measure, with the same planted errors and without the candidates; no
number was tuned. The limits are those of `arcwise cluster` ([docs/clustering.md](clustering.md)):
the similarities of linked pairs and of neighbours, the agreement that links, and the confidence
below which a member is doubtful. K = 3 is the paper's. The products that Grocery's tables do not
measure were looked at for the page. That copies come first in the list was added when LFW as
it is had been seen: two names with one image each have no other vote.
"""
