//! Correlation and regression, as much of it as the probe needs.

/// Pearson's correlation; `None` of fewer than three pairs or of a constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mean_x, mean_y) = (mean(x), mean(y));
    let products =
        |f: fn(f64, f64) -> f64| -> f64 { x.iter().zip(y).map(|(x, y)| f(x - mean_x, y - mean_y)).sum() };
    let (xx, yy) = (products(|x, _| x * x), products(|_, y| y * y));
    (x.len() >= 3 && xx > 0.0 && yy > 0.0).then(|| products(|x, y| x * y) / (xx * yy).sqrt())
}

/// Spearman's rank correlation; `None` as [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 0; equal values share the mean of theirs.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |x: &f64| {
        let (below, to) = (sorted.partition_point(|y| y < x), sorted.partition_point(|y| y <= x));
        (below + to) as f64 / 2.0
    };
    x.iter().map(rank).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// A linear model of `y` by `N` variables, fitted by least squares.
#[derive(Clone, Debug)]
pub struct Linear<const N: usize> {
    means: [f64; N],
    weights: [f64; N],
    mean: f64,
}

impl<const N: usize> Linear<N> {
    /// Fits; `None` of fewer samples than the model has freedom. Constant or collinear variables
    /// are harmless: a trace of ridge decides between them.
    pub fn fit(x: &[[f64; N]], y: &[f64]) -> Option<Self> {
        if x.len() <= N + 1 {
            return None;
        }
        let column = |k: usize| x.iter().map(move |row| row[k]);
        let means: [f64; N] = std::array::from_fn(|k| column(k).sum::<f64>() / x.len() as f64);
        let scales: [f64; N] = std::array::from_fn(|k| {
            let scale = column(k).map(|x| (x - means[k]).powi(2)).sum::<f64>().sqrt();
            if scale > 0.0 { scale } else { 1.0 }
        });
        let mean = mean(y);
        let (mut matrix, mut right) = ([[0.0; N]; N], [0.0; N]);
        for (row, y) in x.iter().zip(y) {
            let z: [f64; N] = std::array::from_fn(|k| (row[k] - means[k]) / scales[k]);
            for i in 0..N {
                right[i] += z[i] * (y - mean);
                (0..N).for_each(|j| matrix[i][j] += z[i] * z[j]);
            }
        }
        (0..N).for_each(|i| matrix[i][i] += 1e-9);
        let solved = solve(matrix, right);
        Some(Self { means, weights: std::array::from_fn(|k| solved[k] / scales[k]), mean })
    }

    /// What it says of a sample.
    pub fn predict(&self, x: &[f64; N]) -> f64 {
        self.mean + (0..N).map(|k| self.weights[k] * (x[k] - self.means[k])).sum::<f64>()
    }
}

/// Share of the variance of `y` that a linear model by `x` explains; `None` without variance, or as
/// [`Linear::fit`].
pub fn r_squared<const N: usize>(x: &[[f64; N]], y: &[f64]) -> Option<f64> {
    let model = Linear::fit(x, y)?;
    let mean = mean(y);
    let total: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
    let left: f64 = x.iter().zip(y).map(|(x, y)| (y - model.predict(x)).powi(2)).sum();
    (total > 0.0).then(|| 1.0 - left / total)
}

/// What linear models say of samples that they were not fitted on: `folds` of them, each without
/// every `folds`-th sample.
pub fn cross_validated<const N: usize>(x: &[[f64; N]], y: &[f64], folds: usize) -> Option<Vec<f64>> {
    let mut said = vec![0.0; x.len()];
    for fold in 0..folds {
        let fitted: (Vec<_>, Vec<_>) = x
            .iter()
            .zip(y)
            .enumerate()
            .filter(|(i, _)| i % folds != fold)
            .map(|(_, (x, y))| (*x, *y))
            .unzip();
        let model = Linear::fit(&fitted.0, &fitted.1)?;
        (fold..x.len()).step_by(folds).for_each(|i| said[i] = model.predict(&x[i]));
    }
    Some(said)
}

/// Gauss's elimination of a symmetric positive definite system: no pivoting needed.
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for k in 0..N {
        for i in k + 1..N {
            let factor = a[i][k] / a[k][k];
            (k..N).for_each(|j| a[i][j] -= factor * a[k][j]);
            b[i] -= factor * b[k];
        }
    }
    for k in (0..N).rev() {
        let known: f64 = (k + 1..N).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f64; 7] = [1.0, 2.0, 2.0, 4.0, 7.0, 3.0, -1.0];
    const Y: [f64; 7] = [0.5, 1.0, 3.0, 2.0, 9.0, 2.5, 0.0];
    const PEARSON: f64 = 0.89221218;
    const SPEARMAN: f64 = 0.81084372;
    const R_SQUARED: f64 = 0.90526471;

    fn close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?}, expected {expected}");
    }

    /// scipy 1.17: pearsonr(X, Y), spearmanr(X, Y); numpy lstsq for R² on X and its square.
    #[test]
    fn as_scipy() {
        close(pearson(&X, &Y), PEARSON);
        close(spearman(&X, &Y), SPEARMAN);
        let rows: Vec<[f64; 2]> = X.iter().map(|x| [*x, x * x]).collect();
        close(r_squared(&rows, &Y), R_SQUARED);
    }

    #[test]
    fn constants_and_too_few_have_no_correlation() {
        assert_eq!(pearson(&[1.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]), None);
        assert!(Linear::fit(&[[1.0], [2.0]], &[1.0, 2.0]).is_none());
        // A constant and a twin variable change nothing.
        let rows: Vec<[f64; 4]> = X.iter().map(|x| [*x, x * x, 3.0, *x]).collect();
        close(r_squared(&rows, &Y), R_SQUARED);
    }

    /// Noise can be learnt by heart, not foretold.
    #[test]
    fn what_was_not_seen_is_not_known() {
        let wild = |i: u32| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let rows: Vec<[f64; 5]> = (0..40).map(|i| std::array::from_fn(|k| wild(7 * i + k as u32))).collect();
        let y: Vec<f64> = (0..40).map(|i| wild(1_000 + 3 * i)).collect();
        let fitted = r_squared(&rows, &y).unwrap();
        let foretold = pearson(&cross_validated(&rows, &y, 5).unwrap(), &y).unwrap();
        assert!(fitted > 0.02 && foretold < fitted.sqrt() - 0.1, "{fitted} {foretold}");
    }
}
