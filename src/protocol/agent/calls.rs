//! The calls of tools that a run has open.

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    /// Of a call that has one. The others are known by their tool's name.
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

    /// A call by its id, or one without an id by its tool's name.
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
