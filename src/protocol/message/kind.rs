//! The types of messages, their aliases, and their names on the way out, as data in one place.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal $(, or $alias:literal)* $(, out $out:literal)?;)*) => {
        /// The type of a message.
        ///
        /// [`MessageKind::from_name`] reads each name that comes in, and [`MessageKind::outbound_name`]
        /// is each name that goes out.
        ///
        /// ```
        /// use laneway::protocol::MessageKind;
        ///
        /// assert_eq!(MessageKind::from_name("typing"), MessageKind::UserTyping); // an alias
        /// assert_eq!(MessageKind::from_name("news"), MessageKind::Unknown("news".into()));
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MessageKind {
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $kind,)*
            /// Any other type, with its name.
            Unknown(Box<str>),
        }

        impl MessageKind {
            /// All kinds but [`Unknown`](Self::Unknown).
            ///
            /// ```
            /// use laneway::protocol::MessageKind;
            ///
            /// for kind in MessageKind::KNOWN {
            ///     assert_eq!(MessageKind::from_name(kind.name()), *kind);
            /// }
            /// ```
            pub const KNOWN: &'static [Self] = &[$(Self::$kind),*];

            /// Returns the kind of this name or alias. Allocates for an unknown name only.
            ///
            /// ```
            /// use laneway::protocol::MessageKind;
            ///
            /// assert_eq!(MessageKind::from_name("execute_agent"), MessageKind::StartAgent);
            /// ```
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name $(| $alias)* => Self::$kind,)*
                    other => Self::Unknown(other.into()),
                }
            }

            /// Returns the one name inside the host, also for a kind with aliases. Wait-free.
            ///
            /// ```
            /// use laneway::protocol::MessageKind;
            ///
            /// assert_eq!(MessageKind::from_name("error").name(), "error_message");
            /// ```
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$kind => $name,)*
                    Self::Unknown(name) => name,
                }
            }

            /// Returns the name that clients receive. Wait-free.
            ///
            /// ```
            /// use laneway::protocol::MessageKind;
            ///
            /// assert_eq!(MessageKind::ErrorMessage.outbound_name(), "error");
            /// assert_eq!(MessageKind::Chat.outbound_name(), "chat");
            /// ```
            #[must_use]
            pub fn outbound_name(&self) -> &str {
                match self {
                    $($(Self::$kind => $out,)?)*
                    other => other.name(),
                }
            }

            /// Returns its place among the known kinds. All unknown kinds share the place behind them.
            pub(crate) fn index(&self) -> usize {
                enum At { $($kind,)* Unknown }
                match self {
                    $(Self::$kind => At::$kind as usize,)*
                    Self::Unknown(_) => At::Unknown as usize,
                }
            }

            /// Returns its name, `unknown` for an unknown kind.
            pub(crate) fn known_name(&self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                    Self::Unknown(_) => "unknown",
                }
            }

            /// Returns the other names that come in as this kind. Wait-free.
            ///
            /// ```
            /// use laneway::protocol::MessageKind;
            ///
            /// assert_eq!(MessageKind::UserTyping.aliases(), ["typing"]);
            /// assert!(MessageKind::Chat.aliases().is_empty());
            /// ```
            #[must_use]
            pub fn aliases(&self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[$($alias),*],)*
                    Self::Unknown(_) => &[],
                }
            }
        }
    };
}

kinds! {
    Connect = "connect", or "connected";
    Disconnect = "disconnect";
    Connection = "connection";
    ConnectionEstablished = "connection_established",
        or "factory_connection_established", or "isolated_connection_established", or "legacy_connection_established";
    Heartbeat = "heartbeat", or "legacy_heartbeat";
    HeartbeatAck = "heartbeat_ack";
    Ping = "ping";
    Pong = "pong";
    UserMessage = "user_message", or "user", or "user_input", or "chat_message", or "message";
    Chat = "chat";
    SystemMessage = "system_message", or "system";
    ErrorMessage = "error_message", or "error", out "error";
    UserTyping = "user_typing", or "typing";
    AgentTyping = "agent_typing";
    TypingStarted = "typing_started";
    TypingStopped = "typing_stopped";
    StartAgent = "start_agent", or "execute_agent", or "EXECUTE_AGENT";
    AgentStart = "agent_start";
    AgentStarted = "agent_started";
    AgentComplete = "agent_complete";
    AgentCompleted = "agent_completed";
    AgentThinking = "agent_thinking";
    AgentProgress = "agent_progress", out "agent_update";
    AgentError = "agent_error", or "agent_failed", or "agent_fallback";
    AgentRequest = "agent_request", or "agent";
    AgentTask = "agent_task";
    AgentTaskAck = "agent_task_ack";
    AgentResponse = "agent_response", or "legacy_response", out "agent_completed";
    AgentResponseChunk = "agent_response_chunk";
    AgentResponseComplete = "agent_response_complete";
    AgentStatusRequest = "agent_status_request";
    AgentStatusUpdate = "agent_status_update", or "agent_status", or "agent_update";
    ToolExecute = "tool_execute";
    ToolExecuting = "tool_executing";
    ToolComplete = "tool_complete";
    ToolCompleted = "tool_completed";
    ThreadUpdate = "thread_update", or "thread", out "thread_updated";
    ThreadMessage = "thread_message";
    Broadcast = "broadcast";
    BroadcastTest = "broadcast_test";
    DirectMessage = "direct_message";
    RoomMessage = "room_message";
    Batch = "batch";
    JsonRpcRequest = "jsonrpc_request";
    JsonRpcResponse = "jsonrpc_response";
    JsonRpcNotification = "jsonrpc_notification";
    ResilienceTest = "resilience_test";
    RecoveryTest = "recovery_test";
    QualityMetrics = "quality_metrics";
    GetQualityMetrics = "get_quality_metrics";
    SubscribeQualityAlerts = "subscribe_quality_alerts";
    ValidateContent = "validate_content";
    GenerateQualityReport = "generate_quality_report";
}

/// Names of this layer's answers and notices that are no known kinds.
const ANSWERS: [&str; 8] = [
    "ack",
    "disconnect_acknowledged",
    "typing_acknowledged",
    "quality_alerts_subscription",
    "content_validation_result",
    "quality_report_generated",
    "quality_alert",
    "quality_update",
];
/// Ends of names by which other systems acknowledge.
const ANSWER_SUFFIXES: [&str; 2] = ["_ack", "_acknowledged"];

impl MessageKind {
    /// Returns `true` if the [`MessageRouter`] itself may answer such a message. Wait-free.
    ///
    /// It never answers an answer, not even by an error. Otherwise two routers that are wired to each other
    /// would answer each other without end. Answers are:
    ///
    /// * the messages that this layer sends back, and JSON-RPC responses
    /// * unknown names that end in `_ack` or `_acknowledged`
    ///
    /// A JSON-RPC notification gets no answer either. Handlers see such messages like all others, and may
    /// send any message.
    ///
    /// [`MessageRouter`]: crate::protocol::MessageRouter
    ///
    /// ```
    /// use laneway::protocol::MessageKind;
    ///
    /// assert!(MessageKind::Ping.is_answered() && MessageKind::Chat.is_answered());
    /// assert!(!MessageKind::Pong.is_answered());
    /// assert!(!MessageKind::from_name("ack").is_answered());
    /// ```
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self {
            Self::SystemMessage
            | Self::ConnectionEstablished
            | Self::ErrorMessage
            | Self::HeartbeatAck
            | Self::Pong
            | Self::AgentTaskAck
            | Self::QualityMetrics
            | Self::JsonRpcResponse
            | Self::JsonRpcNotification => false,
            Self::Unknown(name) => {
                let acknowledges = ANSWER_SUFFIXES.iter().any(|end| name.ends_with(end));
                !acknowledges && !ANSWERS.contains(&&**name)
            }
            _ => true,
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
