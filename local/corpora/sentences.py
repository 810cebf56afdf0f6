"""A random generator to invented English sentences, for synthetic speech."""

_ADJECTIVES = """old young quiet noisy yellow silver broken hungry careful clever heavy gentle
    golden purple curious sleepy famous lonely modern wooden bright narrow gloomy""".split()
_PEOPLE = """teacher farmer sailor doctor painter neighbour child dancer lawyer fisherman visitor
    baker stranger poet engineer gardener judge musician cousin shepherd waiter pilot""".split()
_ACTIONS = """carried found painted followed repaired forgot measured photographed described
    borrowed counted watched dropped examined bought remembered moved covered sold hid""".split()
_THINGS = """bicycle umbrella table letter guitar basket hammer violin blanket kettle pumpkin
    telescope mirror carpet ladder wagon feather cabbage jacket engine statue cushion""".split()
_PLACES = """behind the church|near the harbour|across the valley|under the bridge|by the wide river
    |outside the theatre|above the bakery|beside the road|in the rose garden|at the bus station
    |on the small island|around the corner|through the forest|next to the school""".split("|")
_TIMES = """on Monday morning|just before dinner|late at night|in the first week of June
    |every other Thursday|after the storm|during the long winter|a few years ago|at half past four
    |without any reason|as soon as possible|for the third time""".split("|")
_JOINS = "and then|while|because|but|although|so".split("|")


def unique_sentences(count, rng):
    """Invents `count` different sentences, of the many millions that there are.

    Each has 10 to 22 words, about 2 to 8 seconds of speech. `rng` is a random.Random.
    """
    sentences = {}  # unlike a set, a dictionary keeps the order
    while len(sentences) < count:
        sentences[_sentence(rng)] = None
    return list(sentences)


def _sentence(rng):
    """A clause, a clause and a time, or two clauses, each a third of the time."""
    form = rng.choice(("short", "middling", "long"))
    if form == "long":
        words = f"{_clause(rng)} {_phrase(_JOINS, rng)} {_clause(rng)}"
    elif form == "middling":
        words = f"{_clause(rng, detailed=True)} {_phrase(_TIMES, rng)}"
    else:
        words = _clause(rng, detailed=True)
    return f"{words[0].upper()}{words[1:]}."


def _clause(rng, detailed=False):
    person = f"the {rng.choice(_ADJECTIVES)} {rng.choice(_PEOPLE)}"
    thing = f"{rng.choice(_ADJECTIVES)} {rng.choice(_THINGS)}" if detailed else rng.choice(_THINGS)
    return f"{person} {rng.choice(_ACTIONS)} the {thing} {_phrase(_PLACES, rng)}"


def _phrase(phrases, rng):
    return rng.choice(phrases).strip()
