"""What each plain setting of hparams/*.yaml may be."""

from typing import NamedTuple

from local.errors import InputError


class Numbers(NamedTuple):
    """The numbers from `low` to `high`, both included unless the setting says otherwise."""

    low: float
    high: float
    is_whole: bool = True
    is_above: bool = False  # whether `low` itself is too low
    is_below: bool = False  # whether `high` itself is too high
    or_null: bool = False
    or_list: bool = False  # whether a list of such numbers is fine, too

    def has(self, value):
        if isinstance(value, bool) or not isinstance(value, int if self.is_whole else int | float):
            return False
        is_low = value <= self.low if self.is_above else value < self.low
        is_high = value >= self.high if self.is_below else value > self.high
        return value == value and not (is_low or is_high)  # NaN is not equal to itself

    def __str__(self):
        kind = "a whole number" if self.is_whole else "a number"
        low = f"{'above' if self.is_above else 'from'} {self.low}"
        high = f"{'and below' if self.is_below else 'to' if 'from' in low else 'up to'} {self.high}"
        return f"{kind} {low} {high}{_others(self)}"


class Names(NamedTuple):
    """One of some names."""

    names: tuple
    or_null: bool = False
    or_list: bool = False

    def has(self, value):
        return any(value is name or isinstance(value, str) and value == name for name in self.names)

    def __str__(self):
        *names, last = map(str, self.names)
        return f"{', '.join(names)} or {last}{_others(self)}"


def _allows(rule, value):
    if value is None:
        return rule.or_null
    if isinstance(value, list):
        return rule.or_list and all(map(rule.has, value))
    return rule.has(value)


def _others(rule):
    return (", or null" if rule.or_null else "") + (", or a list of these" if rule.or_list else "")


# A bound that nobody reaches keeps slips of the finger from taking all memory, or for ever.
RULES = {
    "seed": Numbers(0, 2**31 - 1),
    "num_workers": Numbers(0, 1024, or_null=True),
    "min_seconds": Numbers(0, 10**6, is_whole=False),
    "precision": Names(("fp32", "tf32", "bf16", "auto")),
    # hparams/vgg.yaml. Names that make an object are checked where it is made.
    "max_memory_gb": Numbers(0, 10**6, is_whole=False),
    "train_on": Names(("audio", "features")),
    "sample_rate": Numbers(1000, 768_000),
    "num_mels": Numbers(1, 256),
    "normalize_over": Names(("chunk", "utterance")),
    "chunk_samples": Numbers(512, 10**8),  # at least a frame
    "vad": Names(("none", "energy")),
    "max_masked_mels": Numbers(0, 256),
    "num_blocks": Numbers(1, 16),
    "width": Numbers(1, 10**6),
    "num_heads": Numbers(1, 10**6),
    "head_drop": Numbers(0, 1, is_whole=False, is_below=True),
    "hidden_size": Numbers(0, 10**6),
    "embedding_size": Numbers(1, 10**6),
    "margin": Numbers(0, 1, is_whole=False),
    "scale": Numbers(0, 10**4, is_whole=False, is_above=True),
    "number_of_epochs": Numbers(1, 10**6),
    "validate_every": Numbers(1, 10**7, or_null=True),
    "minutes": Numbers(0, 10**6, is_whole=False, is_above=True, or_null=True),
    "batch_size": Numbers(1, 10**6),
    "grad_accumulation_factor": Numbers(1, 10**6),
    "lr": Numbers(0, 1e30, is_whole=False, is_above=True),
    "stop_patience": Numbers(1, 10**6),
    "weight_decay": Numbers(0, 100, is_whole=False),
    "average_decay": Numbers(0, 1, is_whole=False, is_below=True),
    "timeout_minutes": Numbers(0, 10**6, is_whole=False, is_above=True),
    # hparams/verify.yaml
    "num_crops": Numbers(0, 10**4),
    "crop_seconds": Numbers(0, 10**6, is_whole=False, is_above=True),
    "plda_rank": Numbers(1, 10**6),
    "top_n": Numbers(1, 10**9),
    "cohort_size": Numbers(1, 10**9, or_null=True),
    "p_targets": Numbers(0, 1, is_whole=False, is_above=True, is_below=True, or_list=True),
    "c_miss": Numbers(0, 10**9, is_whole=False, is_above=True),
    "c_false_alarm": Numbers(0, 10**9, is_whole=False, is_above=True),
    "bootstrap_draws": Numbers(0, 10**6),
    "duration_edges": Numbers(0, 10**9, is_whole=False, or_null=True, or_list=True),
    "batch_seconds": Numbers(0, 10**6, is_whole=False, is_above=True),
    # hparams/ablate.yaml
    "seeds": Numbers(0, 2**31 - 1, or_list=True),
    "task": Numbers(0, 10**6, or_null=True),
    "jobs": Numbers(1, 1024, or_null=True),
    # hparams/calibrate.yaml, compare.yaml, embed.yaml, export.yaml
    "p_target": Numbers(0, 1, is_whole=False, is_above=True, is_below=True),
    "held_out_share": Numbers(0, 1, is_whole=False, is_below=True),
    "quality": Names(("log_seconds", "cohort_mean"), or_null=True, or_list=True),
    "layer": Names(("embedding", "pooled", "hidden", "linear")),
    "format": Names(("npz", "npy", "ark", "csv"), or_null=True),
    "threshold": Numbers(-1, 1, is_whole=False, or_null=True),
    # hparams/recognise.yaml
    "num_names": Numbers(1, 10**4),
    # hparams/try_voices.yaml
    "port": Numbers(0, 65535),
}
RULES |= dict.fromkeys(
    "augment batch_norm embedding_relu projection sync_batch_norm are_llrs subtract_mean "
    "unit_length alignment onnx keep_embeddings keep_calibration json replace list".split(),
    Names((True, False)),
)
# Text, whatever a YAML file says; besides these, all settings whose value in it is text or null.
TEXTS = set(
    "train_data_dir train_labels_path valid_data_dir valid_clients valid_impostors out_dir "
    "init_from feature_dir noise_dir rir_dir model_dir scores output_dir trials enrol_models "
    "cohort calibration speakers speaker_table out quality_file held_out_file files data_dir "
    "export_dir metrics front_end pooling margin_kind margin_schedule normalization optimizer "
    "lr_schedule backend enrol_mean score_norm cohort_kind base presets reference only".split()
)

LISTS = ("scores", "trials", "files", "only", "presets", "remove")  # texts that may be several


def tag_of(value):
    """The tag of a YAML value, such as !ref or !new:CLASS; None without one."""
    return getattr(getattr(value, "tag", None), "value", None)


def is_text(name, default):
    """Whether a setting with this value in its YAML file takes any text."""
    is_plain = default is None or isinstance(default, str)
    return name in TEXTS or (is_plain and name not in RULES)


def check(settings, defaults):
    """Raises an InputError for the first setting that has a value it can't have.

    Arguments
    ---------
    settings : dict
        Name -> value; objects, references and settings of unknown names may be anything.
    defaults : dict
        What the YAML file has.
    """
    for name, value in settings.items():
        default = defaults.get(name)
        if tag_of(value) or name.startswith("__"):
            continue
        if name in RULES and not _allows(RULES[name], value):
            raise InputError(f"{name} must be {RULES[name]}, not {shown(value)}")
        if is_text(name, default) and not _is_text_value(name, value, default):
            raise InputError(
                f"{name} is text, not {shown(value)}: in YAML files, write it in quotes"
            )
        is_missing = value is None and not tag_of(default)
        if isinstance(default, dict) and not isinstance(value, dict) and not is_missing:
            raise InputError(
                f'{name} is an object: --{name} "{{SETTING: VALUE}}", not {shown(value)}'
            )


def _is_text_value(name, value, default):
    if value is None:
        return default is None
    values = value if isinstance(value, list) and name in LISTS else [value]
    return all(isinstance(text, str) and text for text in values)


def shown(value):
    """A value in a message, as YAML has it and not too long."""
    plain = {None: "null", True: "true", False: "false"}
    text = plain[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
