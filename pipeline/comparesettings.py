"""What a site asks of a new version of a model beside the one that it has."""

from dataclasses import asdict, dataclass

from pipeline.errors import UnusableCall


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareSettings:
    """Limits of a comparison of two versions: what lies outside does not pass."""

    least_studies: int = 10
    """Series that both versions have a result of: fewer show nothing."""

    least_mean_dice: float = 0.9
    """Mean Dice between the versions, of each segment."""

    least_worst_dice: float = 0.5
    """Dice between the versions of the series that differs most, of each segment."""

    most_failures: float = 0.02
    """Share of the series that the new version has no result of, and the other has."""

    most_bias: float = 0.1
    """Mean difference of a measurement relative to its mean, of each measurement."""

    most_uncertainty_rise: float = 0.25
    """Rise of the uncertainty, by the median of the series' ratios."""

    most_nrmse: float = 0.1
    """Mean difference of reconstructed images, relative to the images."""

    least_ssim: float = 0.9
    """Mean structural similarity of reconstructed images."""

    least_agreement: float = 0.85
    """Mean share of a video's seconds that both versions give the same phase."""

    most_label_loss: float = 0.02
    """Loss of mean Dice against labels, where there are labels."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises
        ------
        UnusableCall
            If one is not possible.
        """
        if self.least_studies < 1:
            raise UnusableCall(f"least_studies is {self.least_studies}, needed is 1 or more")
        for name, value in asdict(self).items():
            if value < 0:
                raise UnusableCall(f"{name} is {value:g}, needed is 0 or more")
