//! Medians and spread.

/// Figures of several rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures(Vec<f64>);

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }
}

impl Figures {
    /// Returns the middle figure, or the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        let (below, above) = (self.0.len().checked_sub(1)? / 2, self.0.len() / 2);
        Some(f64::midpoint(self.0[below], self.0[above]))
    }

    /// Returns the difference between the greatest and the least, as a fraction of the
    /// median.
    pub(super) fn spread(&self) -> Option<f64> {
        Some((self.0.last()? - self.0.first()?) / self.median()?)
    }
}

/// Formats a figure for a table, or a dash.
pub(super) fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_and_a_spread_is_a_part_of_it() {
        let odd: Figures = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!((odd.median(), odd.spread()), (Some(2.0), Some(1.0)));
        let even: Figures = [4.0, 1.0, 2.0, 3.0].into_iter().collect();
        assert_eq!(even.median(), Some(2.5));
        assert_eq!(Figures::default().median(), None);
        assert_eq!(cell(None, 2), "–");
        assert_eq!(cell(Some(0.456), 2), "0.46");
    }
}
