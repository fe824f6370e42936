//! The handlers and middlewares of the router: added and removed while messages flow.

use std::sync::Arc;

use crate::protocol::inbound::chain::{Kinds, Named, Shielded};
use crate::protocol::inbound::dispatch::MessageRouter;
use crate::protocol::inbound::handler::{Handler, Middleware};
use crate::protocol::inbound::stats::{MAX_HANDLERS, RegisterError};

impl MessageRouter {
    /// Adds a handler behind the registered ones. Lock-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::protocol::*;
    /// # let inbound = MessageRouter::new(Arc::default(), Duration::ZERO);
    /// let ignore = |_: &Sender<'_>, _: &Message| Ok(Handled::Done);
    /// inbound.register("ignore", ignore)?;
    /// assert_eq!(inbound.register("ignore", ignore), Err(RegisterError::NameTaken));
    /// # Ok::<(), RegisterError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RegisterError::NameTaken`] if a handler of that name is registered.
    /// [`RegisterError::TooMany`] if there are [`MAX_HANDLERS`].
    pub fn register(
        &self,
        name: &str,
        handler: impl Handler + 'static,
    ) -> Result<(), RegisterError> {
        let added = Named {
            name: name.into(),
            kinds: Kinds::of(handler.kinds()),
            handler: Arc::new(Shielded(Some(Box::new(handler)))),
        };
        self.chain.update(|chain| {
            if chain.handlers.iter().any(|other| other.name == added.name) {
                return Err(RegisterError::NameTaken);
            }
            if chain.handlers.len() == MAX_HANDLERS {
                return Err(RegisterError::TooMany);
            }
            let mut chain = chain.clone();
            chain.handlers.push(added.clone());
            Ok((chain, ()))
        })
    }

    /// Removes a handler. Returns `false` if there is none of that name. Lock-free.
    ///
    /// The handler still finishes the messages that have reached it.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::protocol::*;
    /// # let inbound = MessageRouter::new(Arc::default(), Duration::ZERO);
    /// inbound.register("ignore", |_: &Sender<'_>, _: &Message| Ok(Handled::Done))?;
    /// assert!(inbound.remove("ignore"));
    /// assert!(!inbound.remove("ignore"));
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn remove(&self, name: &str) -> bool {
        self.chain.change(|chain| {
            let before = chain.handlers.len();
            chain.handlers.retain(|handler| *handler.name != *name);
            chain.handlers.len() < before
        })
    }

    /// Adds a middleware inside the registered ones: its `before` runs last, its `after` first. Lock-free.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use laneway::{Hub, UserId, protocol::*};
    /// # let (hub, now) = (Hub::new(), Duration::ZERO);
    /// # let ann = hub.scope(UserId::new("ann")?);
    /// # let inbound = MessageRouter::new(Arc::default(), now);
    /// struct ReadOnly;
    /// impl Middleware for ReadOnly {
    ///     fn before(&self, _: &Sender<'_>, message: &mut Message) -> Result<(), HandlerError> {
    ///         match message.kind {
    ///             MessageKind::Ping => Ok(()),
    ///             _ => Err(HandlerError::new("READ_ONLY", "come back tomorrow")),
    ///         }
    ///     }
    /// }
    /// inbound.wrap(ReadOnly)?;
    /// let outcome = inbound.route(&ann, None, Message::new(MessageKind::Chat), now);
    /// assert!(matches!(outcome, Outcome::Refused(error) if error.code == "READ_ONLY"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RegisterError::TooMany`] if there are [`MAX_HANDLERS`] middlewares.
    pub fn wrap(&self, middleware: impl Middleware + 'static) -> Result<(), RegisterError> {
        let middleware: Arc<dyn Middleware> = Arc::new(middleware);
        self.chain.update(|chain| {
            if chain.middleware.len() == MAX_HANDLERS {
                return Err(RegisterError::TooMany);
            }
            let mut chain = chain.clone();
            chain.middleware.push(Arc::clone(&middleware));
            Ok((chain, ()))
        })
    }
}
