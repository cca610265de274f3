"""Reference for src/stats/score.c, share.c, share_sequence.c and curve.c, written from
doc/statistics.md with numpy and scipy and nothing of guardrail's.

    python3 test/truth/evidence.py > test/truth/evidence.tsv      the vectors of test_evidence.c

One line a vector: kind, contrast, limit, treatment, control, then z upwards and z
downwards (the standard normal quantile of each one-sided p; a mean's before Student's t),
df of that t, skewness of the score, the largest unit's part.  Arms: values, or pairs x:y,
or events/units.  Further lines: log e of shares, and bounds.
Made with numpy 1.24 and scipy 1.10 (Debian 12).
"""
import sys
import numpy as np
from scipy import optimize, special, stats

MOST = 37.5


def clamp(z):
    return float(min(max(z, -MOST), MOST))


def gamma_z(s, g):
    """z of a standardised statistic whose distribution is a gamma's with skewness g."""
    if abs(g) < 1e-3:
        return clamp(s)
    k = 4 / g**2
    u = s * np.sign(g)
    x = k + u * np.sqrt(k)
    if x <= 0:
        z = -MOST
    elif u > 0:
        z = stats.norm.isf(stats.gamma.sf(x, k))
    else:
        z = stats.norm.ppf(stats.gamma.cdf(x, k))
    return clamp(z * np.sign(g))


def limits(kind, limit):
    return (1 + limit if kind == "relative" else 1.0), (0.0 if kind == "relative" else limit)


class Mean:
    def __init__(self, values):
        self.x = np.asarray(values, float)
        self.n = len(self.x)
        self.value = self.x.mean()

    def hall(self):
        e = self.x - self.value
        return e.var(ddof=1) / self.n, (e**3).sum() / self.n / self.n**2

    def text(self):
        return ",".join("%.17g" % v for v in self.x)


class Ratio:
    def __init__(self, x, y):
        self.x, self.y = np.asarray(x, float), np.asarray(y, float)
        self.n = len(self.x)
        self.value = self.x.sum() / self.y.sum()

    def hall(self):
        e = (self.x - self.value * self.y) / self.y.mean()
        return (e**2).sum() / (self.n - 1) / self.n, (e**3).sum() / self.n / self.n**2

    def text(self):
        return ",".join("%.17g:%.17g" % v for v in zip(self.x, self.y))


def residuals(kind, limit, t, c):
    """Residuals of both arms at the limit, d, and whether they are around zero."""
    ratio, shift = limits(kind, limit)
    if isinstance(t, Mean):
        if kind == "absolute":
            return t.x - t.value, np.array([]), t.value - limit
        return t.x - t.value, ratio * (c.x - c.value), t.value - ratio * c.value - shift
    if kind == "absolute":
        e = t.x - limit * t.y
        return e, np.array([]), e.mean()
    if kind == "relative":
        common = (t.x.sum() + c.x.sum()) / (ratio * t.y.sum() + c.y.sum())
        et, ec = t.x - ratio * common * t.y, ratio * (c.x - common * c.y)
    else:
        common = (t.x.sum() - shift * t.y.sum() + c.x.sum()) / (t.y.sum() + c.y.sum())
        et, ec = t.x - (common + shift) * t.y, c.x - common * c.y
    return et, ec, et.mean() - ec.mean()


def heaviest(et, ec):
    e2 = np.concatenate([et, ec])**2
    return e2.max() / e2.sum() if e2.sum() > 0 else 1.0


def score(kind, limit, t, c):
    et, ec, d = residuals(kind, limit, t, c)
    n = t.n + (0 if kind == "absolute" else c.n)
    e = np.concatenate([et, ec])
    lost = (1 if kind == "absolute" else 2) if isinstance(t, Mean) else 0
    s2 = (e**2).sum() / (n - lost)
    k3 = (e**3).sum() / n
    over = (lambda p: 1 / t.n**p) if kind == "absolute" else (lambda p: 1 / t.n**p + (1 if p == 1 else -1) / c.n**p)
    v = s2 * over(1)
    g = k3 * over(2) / v**1.5
    part = heaviest(et, ec)
    # a ratio also at the ratio that both arms have in common: the limit alone may make residuals
    if isinstance(t, Ratio) and kind == "absolute":
        part = max(part, heaviest(t.x - t.value * t.y, np.array([])))
    elif isinstance(t, Ratio):
        part = max(part, heaviest(*residuals("difference", 0, t, c)[:2]))
    return gamma_z(d / np.sqrt(v), g), g, part


def hall(kind, limit, t, c):
    ratio, shift = limits(kind, limit)
    vt, kt = t.hall()
    vc, kc = (0, 0) if kind == "absolute" else c.hall()
    d = t.value - (limit if kind == "absolute" else ratio * c.value + shift)
    v = vt + ratio**2 * vc
    z = d / np.sqrt(v)
    g = (kt - ratio**3 * kc) / v**1.5
    df = t.n - 1 if kind == "absolute" else v**2 / (vt**2 / (t.n - 1) + (ratio**2 * vc)**2 / (c.n - 1))
    return clamp(z + g * z**2 / 3 + g**2 * z**3 / 27 + g / 6), df, d


def evidence(kind, limit, t, c):
    """(z up, z down, df, skewness, heaviest) of means and ratios."""
    h, df, d = hall(kind, limit, t, c)
    s, g, part = score(kind, limit, t, c)
    up, down = min(h, s), -max(h, s)
    if d <= 0:
        up = min(up, 0)
    if d >= 0:
        down = min(down, 0)
    return up, down, df, g, part


# ---- shares

def restricted(kind, limit, xt, nt, xc, nc):
    """Shares of largest likelihood at the limit, by numerical search."""
    ratio, shift = limits(kind, limit)
    if kind == "absolute":
        return limit, np.nan

    def loss(pc):
        pt = ratio * pc + shift
        return -(special.xlogy(xt, pt) + special.xlogy(nt - xt, 1 - pt) + special.xlogy(xc, pc) + special.xlogy(nc - xc, 1 - pc))
    low, high = max(0, -shift / ratio), min(1, (1 - shift) / ratio)
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-14})
    pc = min([best.x, low, high], key=loss)
    return ratio * pc + shift, pc


def share_score(kind, limit, xt, nt, xc, nc):
    ratio, shift = limits(kind, limit)
    pt, pc = restricted(kind, limit, xt, nt, xc, nc)
    d = xt / nt - (limit if kind == "absolute" else ratio * xc / nc + shift)
    v = pt * (1 - pt) / nt
    k = v * (1 - 2 * pt) / nt
    if kind != "absolute":
        w = ratio**2 * pc * (1 - pc) / nc
        v, k = v + w, k - ratio * w * (1 - 2 * pc) / nc
    return d, v, k, pt, pc


def two_arms(ratio, shift, xt, nt, xc, nc, direction):
    """Clopper and Pearson for either arm at half the level: the level where they just meet."""
    def bound(x, n, a, upper):
        if upper:
            return 1.0 if x == n else stats.beta.isf(a, x + 1, n - x)
        return 0.0 if x == 0 else stats.beta.ppf(a, x, n - x + 1)

    def gap(log_level):
        a = np.exp(log_level) / 2
        if direction < 0:
            return bound(xt, nt, a, True) - ratio * bound(xc, nc, a, False) - shift
        return ratio * bound(xc, nc, a, True) + shift - bound(xt, nt, a, False)
    if gap(0) > 0:
        return 1.0
    return np.exp(optimize.brentq(gap, -600, 0, xtol=1e-12))


def share_evidence(kind, limit, xt, nt, xc, nc):
    ratio, shift = limits(kind, limit)
    d, v, k, pt, pc = share_score(kind, limit, xt, nt, xc, nc)
    if v <= 0:
        return None
    g = k / v**1.5
    z = []
    for direction in (1, -1):
        few = min(nt * pt, nc * pc if kind != "absolute" else np.inf) if direction < 0 else \
            min(nt * (1 - pt), nc * (1 - pc) if kind != "absolute" else np.inf)
        if few >= 10:
            zd = direction * gamma_z(d / np.sqrt(v), g)
        elif kind == "absolute":
            p = stats.binom.cdf(xt, nt, limit) if direction < 0 else stats.binom.sf(xt - 1, nt, limit)
            zd = clamp(stats.norm.isf(p))
        elif shift == 0 and direction < 0:
            zd = clamp(stats.norm.isf(stats.binom.cdf(xt, xt + xc, nt * ratio / (nt * ratio + nc))))
        elif shift == 0 and ratio == 1:
            zd = clamp(stats.norm.isf(stats.binom.cdf(nt - xt, nt + nc - xt - xc, nt / (nt + nc))))
        else:
            p = two_arms(ratio, shift, xt, nt, xc, nc, direction)
            zd = clamp(stats.norm.isf(p)) if p < 1 else -MOST
        if direction * d <= 0:
            zd = min(zd, 0)
        z.append(zd)
    return z[0], z[1], g


def log_e_one(x, n, p0, direction):
    """ln of the mixture over shares beyond p0, by adaptive quadrature in the angle."""
    if direction < 0:
        return log_e_one(n - x, n, 1 - p0, 1)
    # Beta(1/2, 1/2) is uniform in the angle a, share = sin(a)^2
    a0 = np.arcsin(np.sqrt(p0))

    def log_density(a):
        p = np.sin(a)**2
        return special.xlogy(x, p / p0) + special.xlogy(n - x, (1 - p) / (1 - p0))
    peak = np.arcsin(np.sqrt(min(max(x / n, p0), 1)))
    top = log_density(peak)
    total = sum(integrate(lambda a: np.exp(log_density(a) - top), a, b) for a, b in ((a0, peak), (peak, np.pi / 2)) if b > a)
    return np.log(total / (np.pi / 2 - a0)) + top


def integrate(f, a, b):
    from scipy.integrate import quad
    steps = np.linspace(a, b, 41)
    return sum(quad(f, u, w, epsabs=1e-14, epsrel=1e-11)[0] for u, w in zip(steps[:-1], steps[1:]))


def log_e(kind, limit, xt, nt, xc, nc, direction):
    ratio, shift = limits(kind, limit)
    if kind == "absolute":
        return log_e_one(xt, nt, limit, direction)
    if shift == 0:
        return log_e_one(xt, xt + xc, nt * ratio / (nt * ratio + nc), direction)
    low, high = sorted((xc / nc, xt / nt - shift))
    both = lambda v: log_e_one(xt, nt, v + shift, direction) + log_e_one(xc, nc, v, -direction)
    grid = np.linspace(max(low, 1e-9), high, 200)
    k = int(np.argmin([both(v) for v in grid]))
    best = optimize.minimize_scalar(both, bounds=(grid[max(k - 1, 0)], grid[min(k + 1, 199)]), method="bounded", options={"xatol": 1e-12})
    return best.fun


# ---- vectors

def main():
    rng = np.random.default_rng(20261201)
    row = lambda *v: print("\t".join("%.17g" % x if isinstance(x, float) else str(x) for x in v))
    print("# made by evidence.py beside it\n" + "\t".join("kind contrast limit treatment control up down df skew heaviest".split()))
    for i in range(60):
        nt, nc = (int(v) for v in rng.integers(12, 80, 2))
        shape = i % 4
        draw = lambda n, scale: scale * np.round((rng.lognormal(0, 1, n) if shape < 2 else rng.negative_binomial(0.5, 0.3, n)) *
                                                  (rng.random(n) < (0.4 if shape % 2 else 1)), 3)
        kind = ("difference", "relative", "absolute")[i % 3]
        limit = float(round(rng.uniform(-0.3, 0.5), 2)) if kind != "absolute" else float(round(rng.uniform(0.2, 2), 2))
        scale = float(rng.choice([1, 1, 1.5, 4]))
        if i % 5 < 3:
            t, c, name = Mean(draw(nt, scale)), Mean(draw(nc, 1)), "mean"
        else:
            t, c, name = Ratio(draw(nt, scale), rng.integers(1, 9, nt)), Ratio(draw(nc, 1), rng.integers(1, 9, nc)), "ratio"
        up, down, df, g, part = evidence(kind, limit, t, c)
        row(name, kind, limit, t.text(), c.text(), float(up), float(down), float(df), float(g), float(part))
    for i in range(80):
        nt, nc = int(rng.choice([100, 250, 1000])), int(rng.choice([250, 1000, 5000, 20000]))
        rate = float(rng.choice([0.0, 0.001, 0.005, 0.05, 0.5, 0.999]))
        xt, xc = int(rng.binomial(nt, min(1, rate * float(rng.choice([1, 2, 10]))))), int(rng.binomial(nc, rate))
        kind = ("difference", "relative", "absolute")[i % 3]
        limit = {"difference": float(rng.choice([0, 0.001, 0.005, -0.02])), "relative": float(rng.choice([0, 0.1, 0.5, -0.2])),
                 "absolute": float(rng.choice([0.001, 0.01, 0.3]))}[kind]
        if kind == "relative" and xt + xc == 0:
            continue
        found = share_evidence(kind, limit, xt, nt, xc, nc)
        if found is None:
            continue
        up, down, g = found
        row("share", kind, limit, "%d/%d" % (xt, nt), "%d/%d" % (xc, nc), float(up), float(down), "NA", float(g), "NA")
    for xt, nt, xc, nc, kind, limit, direction in [
            (25, 1000, 0, 1000, "difference", 0.005, 1), (25, 1000, 0, 1000, "relative", 0.1, 1), (9, 100, 10, 9900, "relative", 0.1, 1),
            (9, 100, 10, 9900, "difference", 0.001, 1), (0, 5000, 30, 5000, "relative", 0.1, -1), (3, 2000, 40, 2000, "difference", 0.005, -1),
            (40, 200, 300, 2000, "absolute", 0.1, 1), (2, 900, 5, 900, "absolute", 0.01, -1), (60, 1000, 20, 1000, "difference", 0.01, 1)]:
        row("log_e", kind, limit, "%d/%d" % (xt, nt), "%d/%d" % (xc, nc), float(log_e(kind, limit, xt, nt, xc, nc, direction)), direction, "NA", "NA", "NA")


if __name__ == "__main__":
    main()
