//! The open calls of tools in one run.

/// A call that has started and not completed.
#[derive(Debug)]
pub(super) struct Call {
    /// The id that the host gave. `None` if the tool's name identifies the call.
    pub(super) id: Option<String>,
    pub(super) tool: String,
}

/// The open calls of a run, oldest first.
#[derive(Debug, Default)]
pub(super) struct OpenCalls(Vec<Call>);

impl OpenCalls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|call| call.tool.as_str())
    }

    /// Returns the position of a call: found by its id, or by its tool's name if `id` is `None`.
    pub(super) fn find(&self, id: Option<&str>, tool: &str) -> Option<usize> {
        let is_it = |call: &Call| call.id.as_deref() == id && (id.is_some() || call.tool == tool);
        self.0.iter().position(is_it)
    }

    pub(super) fn get(&self, at: usize) -> &Call {
        &self.0[at]
    }

    pub(super) fn add(&mut self, call: Call) {
        self.0.push(call);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.0.remove(at);
    }
}
