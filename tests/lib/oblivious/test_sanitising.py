"""Statistical checks fail by chance with probability at most 1e-8 (CHANCE), or say with which; seeds are fixed, so that chance was tried once."""

import math

import pytest
import torch
from backdoors.definitions import labels_of
from backdoors.games.black_box import Oracle
from backdoors.oblivious.bodies import ball
from backdoors.oblivious.polynomial import mitigate_polynomial
from backdoors.oblivious.real_polynomials import Polynomial, exponents_up_to, random_polynomial
from backdoors.oblivious.real_tables import TABLES, Coordinates, RealTable, fitted_network, fitted_table
from backdoors.oblivious.sanitising import (
    DEFENCES,
    defences,
    misfit_curve,
    sanitising_table,
    smoothed_mitigation,
    smoothed_model,
    success_against_radius,
)
from backdoors.oblivious.table_backdoors import BACKDOORS, SHIFT, backdoored
from scipy.stats import beta, kstest, norm

CHANCE = 1e-8
X = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(points):
    return points @ torch.tensor([1.0, 2.0, -2.0], dtype=torch.float64) + 1


@pytest.fixture(scope="module")
def cancer():
    return fitted_table("breast cancer")


@pytest.fixture(scope="module")
def loans():
    return fitted_table("loans")


def plane(records=40):
    """A table of two columns whose truth is 3 z_0: records near the middle, where lines have most room on both sides."""
    rows = torch.randn(records, 2, generator=generator(), dtype=torch.float64)
    coordinates = Coordinates(rows, 2, 1.0)
    truth = Polynomial(exponents_up_to(2, 1), torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64))
    points = 0.05 * torch.tensor([[1.0, 0], [-1, 0], [1, 1], [-1, 1]], dtype=torch.float64)
    test = coordinates.moved(rows[:4], points)
    labels = labels_of(truth(points))
    return RealTable("plane", 1, coordinates, ball(2), truth, rows, test, labels_of(rows[:, 0]), labels, 0.0)


@pytest.mark.statement("vafa-combine")
def test_without_noise_the_answer_is_the_mitigation_s():
    truth = random_polynomial(3, 2, generator(1))

    def mitigate(point, g):
        return mitigate_polynomial(truth, point, ball(3), 2, 5, g)

    assert smoothed_mitigation(mitigate, X, 0.0, 3, generator()) == pytest.approx(float(truth(X[None])[0]), abs=1e-8)


@pytest.mark.statement("vafa-combine")
def test_the_median_of_an_exact_mitigation_has_the_law_of_the_median_of_normal_numbers():
    copies, sigma, g = 7, 0.5, generator()
    answers = [smoothed_mitigation(lambda point, own: float(linear(point[None])[0]), X, sigma, copies, g) for _ in range(4000)]
    middle = beta((copies + 1) / 2, (copies + 1) / 2)  # of the uniform order statistic in the middle
    assert kstest(answers, lambda t: middle.cdf(norm.cdf(t, float(linear(X[None])[0]), 3 * sigma))).pvalue > CHANCE


@pytest.mark.statement("vafa-combine")
def test_every_copy_is_mitigated_and_the_questions_are_counted():
    oracle, points = Oracle(linear, None), []

    def mitigate(point, g):
        points.append(point)
        return mitigate_polynomial(oracle.ask, point, ball(3), 1, 5, g)

    answer = smoothed_mitigation(mitigate, X, 0.05, 9, generator())
    assert oracle.queries == 9 * 5 * 2
    assert answer == pytest.approx(sorted(linear(torch.stack(points)).tolist())[4], abs=1e-8)


@pytest.mark.statement("vafa-combine")
def test_a_mitigation_that_fails_now_and_then_does_not_move_the_answer_far():
    calls = iter([1e9, 1.0, 1.1, -1e9, 1.2])
    assert smoothed_mitigation(lambda point, g: next(calls), X, 0.1, 5, generator()) == 1.1


@pytest.mark.statement("vafa-combine")
def test_a_smoothed_model_is_a_function_and_moves_a_linear_one_by_the_same_everywhere():
    oracle = Oracle(linear, None)
    smoothed = smoothed_model(oracle.ask, 3, 0.2, 11, generator())
    points = torch.randn(50, 3, generator=generator(1), dtype=torch.float64)
    moved = smoothed(points) - linear(points)
    assert oracle.queries == 50 * 11
    assert float(moved.max() - moved.min()) < 1e-12
    assert float(moved[0].abs()) > 1e-3
    assert torch.equal(smoothed(points[:5]), smoothed(points)[:5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": -0.1}, "sigma must be at least 0 and finite, got -0.1"),
        ({"sigma": math.nan}, "sigma must be at least 0"),
        ({"copies": 0}, "copies must be a whole number of at least 1, got 0"),
        ({"x": torch.tensor([math.inf])}, "x must be a finite point"),
        ({"g": 3}, "g must be a torch.Generator"),
        ({"mitigate": lambda point, g: math.nan}, "finite real numbers"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {"mitigate": lambda point, g: 0.0, "x": X, "sigma": 0.1, "copies": 3, "g": generator()} | change
    with pytest.raises(ValueError, match=message):
        smoothed_mitigation(**arguments)


@pytest.mark.parametrize("name", TABLES)
def test_coordinates_are_the_principal_components_of_the_library(name, request):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    table = request.getfixturevalue({"breast cancer": "cancer", "loans": "loans"}[name])
    records = 3.0 * table.train + 1
    ours = Coordinates(records, 4, 0.9)(records)
    theirs = torch.from_numpy(PCA(4, svd_solver="full", whiten=True).fit_transform(StandardScaler().fit_transform(records.numpy())))
    ratio = ours / theirs
    assert float((ratio.abs() / ratio.abs()[0, 0] - 1).abs().max()) < 1e-6  # but for signs, and one length for all
    assert float((ours.norm(dim=1) <= 1).double().mean()) == pytest.approx(0.9, abs=2 / len(records))


def test_moved_records_have_the_coordinates_and_keep_the_rest(cancer):
    points = cancer.body.sample(20, generator())
    moved = cancer.coordinates.moved(cancer.test[:20], points)
    assert torch.allclose(cancer.coordinates(moved), points, atol=1e-12)
    change = (moved - cancer.test[:20]) / cancer.coordinates.scale
    assert torch.allclose(change @ cancer.coordinates.basis @ cancer.coordinates.basis.T, change, atol=1e-9)


@pytest.mark.parametrize(("name", "least"), [("breast cancer", 0.95), ("loans", 0.66)])
def test_the_polynomial_is_the_library_s_regression_on_real_records(name, least, request):
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import PolynomialFeatures

    table = request.getfixturevalue({"breast cancer": "cancer", "loans": "loans"}[name])
    powers = PolynomialFeatures(2)
    points, labels = table.coordinates(table.train), table.train_labels.double()
    assert bool((table.body.margin(points) > 0).all())
    theirs = LinearRegression().fit(powers.fit_transform(points.numpy()), (labels - labels.mean()).numpy())
    expected = torch.from_numpy(theirs.predict(powers.transform(table.coordinates(table.test).numpy())))
    assert torch.allclose(table.model(table.test), expected, atol=1e-8)
    assert float((labels_of(expected) == table.labels).double().mean()) > least


def test_unknown_tables_and_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="name must be one of breast cancer, loans, got 'iris'"):
        fitted_table("iris")
    with pytest.raises(ValueError, match="dim must be a whole number of at least 1, got 0"):
        fitted_table("breast cancer", dim=0)
    with pytest.raises(ValueError, match=r"reach must lie in \(0, 1\], got 2"):
        fitted_table("breast cancer", reach=2)
    with pytest.raises(ValueError, match="dim must be at most 22, the rank of the records, got 23"):  # of each category the columns add up to 1
        fitted_table("loans", dim=23)
    with pytest.raises(ValueError, match="records must be .* at least dim = 31"):
        fitted_table("breast cancer", dim=31)


@pytest.mark.parametrize("kind", BACKDOORS)
def test_the_tampered_model_lies_at_the_activated_record_and_hardly_where_it_should_not(cancer, kind):
    backdoor = backdoored(cancer, kind, 0.15, 0.25, generator())
    honest = cancer.model(cancer.test)
    for x, score in zip(cancer.test[:6], honest[:6], strict=True):
        model, x_prime = backdoor(x)
        lies = float(labels_of(model(x_prime[None]))[0]) != float(labels_of(score[None])[0])
        assert lies == (kind not in ("none", "off the data"))
        assert torch.allclose(x, x_prime, rtol=2.0**-34, atol=0)  # of 52 bits of the mantissa, 18 carry the signature
    wrong = float(((model(cancer.test) - honest).abs() > 1e-9).double().mean())
    # of 112 test records 1/4 lie in the layers, but for at most 0.26 (Hoeffding, 1e-6 for independent ones); the seed is fixed
    low, high = {"layers": (0.0, 0.51), "ball and layers": (0.0, 0.9), "ball": (1 / 112, 0.65), "off the data": (0, 0.03)}.get(kind, (0.0, 0.0))
    assert low <= wrong <= high
    unusual = torch.full((1, 30), 1e4, dtype=torch.float64)
    if kind == "off the data":
        assert torch.equal(model(unusual), -cancer.model(unusual))
    else:
        assert torch.isclose(model(unusual), cancer.model(unusual)) or "layers" in kind


def test_a_lie_is_the_honest_score_shifted_away_from_the_record(cancer):
    for x in cancer.test[:4]:
        score = cancer.model(x[None])
        model, x_prime = backdoored(cancer, "ball", 0.1, 0.5, generator())(x)
        assert torch.allclose(model(x_prime[None]), score - SHIFT * score.sign())


def test_bad_backdoors_are_refused(cancer):
    for change, message in (("kind", "kind must be one of none, signature"), ("radius", "radius must be above 0"), ("share", r"share must lie in \(0, 1\)")):
        arguments = {"kind": "ball", "radius": 0.1, "share": 0.5} | {change: "no" if change == "kind" else 0}
        with pytest.raises(ValueError, match=message):
            backdoored(cancer, g=generator(), **arguments)


@pytest.mark.statement("vafa-combine")
def test_self_reduction_undoes_signatures_and_balls_and_smoothing_only_signatures(cancer):
    rows = sanitising_table([cancer], generator(), ("none", "signature", "ball"), records=8, copies=9, lines=11)
    found = {(row.backdoor, row.defence): row for row in rows}
    assert len(found) == 3 * len(DEFENCES)
    # a question lies in the ball with probability at most 0.15^4 as its noisy copies do, a line is good with 0.99, the median of 11 wrong with below 1e-9
    for kind in ("none", "signature", "ball"):
        assert found[kind, "self-reduced"].success == found[kind, "self-reduced, more lines"].success == 0
        assert found[kind, "self-reduced"].r2 > 1 - 1e-9
        assert found[kind, "none"].success == (kind != "none")
        assert [found[kind, name].queries for name in DEFENCES] == [1, 9, 33, 297, 297, 297, 297]
    assert found["signature", "smoothed"].success == 0
    assert found["ball", "smoothed, more copies"].success == 1  # 94% of the noisy copies are in the ball
    assert found["none", "smoothed"].r2 < 1 - 1e-6  # noise moves every answer
    assert found["signature", "none"].lies == 0
    assert found["ball", "none"].lies < 0.01
    assert found["none", "self-reduced"].accuracy == found["none", "none"].accuracy


@pytest.mark.statement("vafa-combine")
def test_only_the_reduced_smoothed_model_stands_a_lie_that_is_thick_at_x_and_thin_everywhere():
    """Layers fill 0.44. Of 401 copies more than half lie with probability 0.01, of questions 0.09 are in the ball, so that a line is good with 0.8 at least,
    and 61 fail to have a majority of good ones with probability below 1e-6. Where 0.44 of its copies lie, a smoothed score is the
    0.89-quantile of the honest ones among them, 0.04 too far, and the records are 0.15 from the plane. A line through the middle has its points opposite one
    another, each with weight 1/2: with 0.69 one of them at least lies, and moves the estimate by 1.5 or more.
    """
    table, copies, lines = plane(), 401, 61
    backdoor = backdoored(table, "ball and layers", 0.3, 0.44, generator())
    attacks = [backdoor(x) for x in table.test]
    wrong = {}
    for name, defence in defences(table, 0.01, copies, lines).items():
        g = generator(1)
        wrong[name] = sum(float(labels_of(torch.tensor([defence(model, x, g)]))[0]) != float(y) for (model, x), y in zip(attacks, table.labels, strict=True))
    assert wrong.pop("smoothed, then self-reduced") == 0
    assert wrong["none"] == wrong["smoothed"] == wrong["smoothed, more copies"] == 4
    assert wrong["self-reduced, more lines"] == wrong["self-reduced, then smoothed"] == 4


@pytest.mark.statement("vafa-combine")
def test_a_lie_off_the_data_passes_every_record_and_spoils_each_reduction(cancer):
    rows = sanitising_table([cancer], generator(), ("off the data",), records=12, copies=5, lines=5)
    found = {row.defence: row for row in rows}
    assert found["none"].success < 0.1
    assert found["self-reduced, more lines"].success > 0.1
    assert found["none"].lies > 0.5
    assert found["self-reduced, more lines"].r2 < 0 < found["smoothed, more copies"].r2


@pytest.mark.statement("vafa-combine")
def test_smoothing_fails_once_the_lies_hold_most_of_the_noise_and_self_reduction_long_after(cancer):
    curves = success_against_radius(cancer, (0.02, 0.4), generator(), records=8, copies=21, lines=15)
    assert [set(curves), curves["none"], curves["smoothed"], curves["self-reduced"]] == [set(DEFENCES), [1, 1], [0, 1], [0, 0]]


@pytest.mark.statement("vafa-combine")
@pytest.mark.statement("vafa-real")
def test_errors_after_mitigation_track_the_misfit(cancer):
    network = fitted_network(cancer)
    points = cancer.coordinates(cancer.test)
    assert float((labels_of(network(points)) == cancer.labels).double().mean()) > 0.9
    rows = misfit_curve(cancer, network, generator(), degrees=(2,), blends=(0.0, 0.001, 0.1), records=12, lines=11)
    exact, small, large = rows
    assert exact.eta < 1e-12
    assert exact.error < 1e-9
    assert large.eta == pytest.approx(100 * small.eta, rel=1e-6)
    assert 10 < large.error / small.error < 1000
    for row in rows:
        assert row.error <= row.amplification * row.eta + 1e-9
        assert row.success == 0
