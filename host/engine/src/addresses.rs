//! A source that has several addresses: the first that answers is used.

use std::sync::{Mutex, OnceLock, PoisonError};

use domain::port::Source;
use domain::{Fault, FaultDomain, Result};

/// Addresses of the same data, in the order in which they are tried. What answers first is used by all
/// sessions from then on, so that they see the same.
pub struct Addresses<R> {
    /// With what people call them.
    all: Vec<(String, R)>,
    chosen: OnceLock<usize>,
    /// Whoever is first tries, the others wait for what comes of it.
    trying: tokio::sync::Mutex<()>,
    /// Why the ones before did not answer.
    passed: Mutex<Vec<String>>,
}

impl<R> Addresses<R> {
    pub fn new(all: Vec<(String, R)>) -> Self {
        let chosen = OnceLock::new();
        Self { all, chosen, trying: tokio::sync::Mutex::new(()), passed: Mutex::default() }
    }

    /// For people: which address is used, where there are several and one answered.
    pub fn note(&self) -> Option<String> {
        let (title, _) = self.all.get(*self.chosen.get()?).filter(|_| self.all.len() > 1)?;
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let why: String = passed.iter().map(|why| format!("; {why}")).collect();
        Some(format!(
            "of {} addresses \"{title}\" is used, the first that answers{why}",
            self.all.len()
        ))
    }
}

impl<R: Source> Source for Addresses<R> {
    type Session = R::Session;

    /// # Errors
    /// The first address's, where none answers; what is no fault of the outside ends the search.
    async fn connect(&self) -> Result<R::Session> {
        let trying = self.trying.lock().await;
        if let Some((_, source)) = self.chosen.get().and_then(|chosen| self.all.get(*chosen)) {
            drop(trying);
            return source.connect().await;
        }
        let mut first: Option<Fault> = None;
        let mut passed = Vec::new();
        for (index, (title, source)) in self.all.iter().enumerate() {
            match source.connect().await {
                Ok(session) => {
                    *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = passed;
                    self.chosen.get_or_init(|| index);
                    return Ok(session);
                }
                Err(fault) if fault.domain == FaultDomain::External => {
                    passed.push(format!("\"{title}\" does not: {}", fault.message));
                    first.get_or_insert(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        let nothing = || Fault::internal("engine.addresses", "a source has no address");
        let mut fault = first.unwrap_or_else(nothing);
        if passed.len() > 1 {
            fault.message += &format!("; none of {} addresses answers", passed.len());
        }
        Err(fault)
    }
}
