//! `GET /images/search`.

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
};
use brig_registry::{Credentials, SearchResult};

/// Results when nobody says how many.
const RESULTS: i64 = 25;

impl Engine {
    /// Images at a registry that fit a term.
    ///
    /// # Errors
    /// When a filter or the limit is none, or the registry can't be reached.
    pub async fn images_search(
        &self,
        term: &str,
        limit: Option<i64>,
        filters: &Filters,
        credentials: &str,
    ) -> Result<Vec<SearchResult>> {
        filters.validate(&["is-automated", "is-official", "stars"])?;
        let (automated, official) = (filters.flag("is-automated")?, filters.flag("is-official")?);
        let stars = filters
            .get("stars")
            .map(|text| {
                text.parse::<i64>().map_err(|_| Error::Invalid(format!("invalid filter 'stars={text}'")))
            })
            .collect::<Result<Vec<_>>>()?;
        let least = stars.into_iter().max().unwrap_or(0);
        let limit = limit.filter(|limit| *limit != 0).unwrap_or(RESULTS);
        let asked = u32::try_from(limit).ok().filter(|limit| (1..=100).contains(limit));
        let asked =
            asked.ok_or_else(|| Error::Invalid(format!("limit {limit} is outside the range of [1, 100]")))?;
        let credentials = Credentials::from_header(credentials).unwrap_or_default();
        let config = self.core().registries.config();
        let found =
            brig_registry::search(&config, term, asked, &credentials).await.map_err(Error::Registry)?;
        let passes = |found: &SearchResult| {
            automated.is_none_or(|wanted| wanted == found.is_automated)
                && official.is_none_or(|wanted| wanted == found.is_official)
                && found.star_count >= least
        };
        Ok(found.into_iter().filter(passes).collect())
    }
}
