//! Arguments of calls: numbers, names, `...`, lists and structures.

use std::collections::BTreeMap;

/// One argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    /// `...`: what the runner fills in.
    Dots,
    Text(String),
    List(Vec<Value>),
    /// `{fd=4, events=POLLIN}`; a key is empty where there is none.
    Struct(Vec<(String, Value)>),
}

impl Value {
    pub(crate) fn int(&self) -> Result<i64, String> {
        match self {
            Value::Int(number) => Ok(*number),
            Value::List(list) if list.len() == 1 => list[0].int(),
            other => Err(format!("{other:?} is no number")),
        }
    }

    pub(crate) fn field(&self, key: &str) -> Result<&Value, String> {
        let Value::Struct(fields) = self else { return Err(format!("{self:?} has no {key}")) };
        let found = fields.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        found.ok_or_else(|| format!("no {key} in {self:?}"))
    }

    pub(crate) fn list(&self) -> Result<&[Value], String> {
        match self {
            Value::List(list) => Ok(list),
            other => Err(format!("{other:?} is no list")),
        }
    }
}

/// Reads values from text.
pub(crate) struct Reader<'a> {
    rest: &'a str,
    symbols: &'a BTreeMap<&'static str, i64>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, symbols: &'a BTreeMap<&'static str, i64>) -> Reader<'a> {
        Reader { rest: text.trim_start(), symbols }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Takes `token` if it comes next.
    pub(crate) fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn need(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("`{token}` before `{}`", self.rest)) }
    }

    /// A run of letters, digits and underscores.
    pub(crate) fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        word
    }

    /// Values up to `end`, separated by commas.
    pub(crate) fn values(&mut self, end: &str) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        while !self.take(end) {
            if !values.is_empty() {
                self.need(",")?;
            }
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.take("...") {
            return Ok(Value::Dots);
        }
        if self.take("[") {
            return self.values("]").map(Value::List);
        }
        if self.take("{") {
            return self.fields().map(Value::Struct);
        }
        if self.take("\"") {
            let (text, rest) = self.rest.split_once('"').ok_or("a text without end")?;
            self.rest = rest.trim_start();
            return Ok(Value::Text(text.into()));
        }
        let mut sum = self.number()?;
        while self.take("|") {
            sum |= self.number()?;
        }
        Ok(Value::Int(sum))
    }

    /// A number, or a name that stands for one.
    pub(crate) fn number(&mut self) -> Result<i64, String> {
        let negative = self.take("-");
        let word = self.word();
        let number = match word.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => word.parse().ok().or_else(|| self.symbols.get(word).copied()),
        };
        let number = number.ok_or_else(|| format!("`{word}` is no number and no known name"))?;
        Ok(if negative { -number } else { number })
    }

    fn fields(&mut self) -> Result<Vec<(String, Value)>, String> {
        let mut fields = Vec::new();
        while !self.take("}") {
            if !fields.is_empty() {
                self.need(",")?;
            }
            let before = self.rest;
            let key = self.word();
            // `msg_iov(1)=..`: the number in brackets is the length, and the list has one.
            if !key.is_empty() && self.take("(") {
                self.values(")")?;
            }
            if !key.is_empty() && self.take("=") {
                fields.push((key.into(), self.value()?));
            } else {
                self.rest = before;
                fields.push((String::new(), self.value()?));
            }
        }
        Ok(fields)
    }
}

/// The names that scripts use.
pub(crate) fn symbols() -> BTreeMap<&'static str, i64> {
    macro_rules! names {
        ($($name:ident)*) => { [$((stringify!($name), libc::$name as i64)),*] };
    }
    let mut symbols: BTreeMap<_, _> = names! {
        AF_UNSPEC AF_INET AF_INET6 SOCK_STREAM SOCK_DGRAM SOCK_NONBLOCK IPPROTO_TCP IPPROTO_UDP
        IPPROTO_IP
        SOL_SOCKET SOL_TCP SO_REUSEADDR SO_ERROR SO_SNDBUF SO_RCVBUF SO_LINGER SO_KEEPALIVE
        SO_RCVTIMEO SO_SNDTIMEO SO_TYPE SO_PROTOCOL SO_DOMAIN SO_ACCEPTCONN SO_BROADCAST
        SO_ZEROCOPY TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_INFO
        TCP_QUICKACK TCP_CONGESTION TCP_USER_TIMEOUT TCP_MD5SIG TCP_FASTOPEN IP_TTL IP_TOS
        TCP_FASTOPEN_CONNECT MSG_FASTOPEN
        MSG_PEEK MSG_DONTWAIT MSG_WAITALL MSG_NOSIGNAL MSG_TRUNC MSG_MORE MSG_ZEROCOPY MSG_OOB
        MSG_ERRQUEUE SHUT_RD SHUT_WR SHUT_RDWR F_GETFL F_SETFL O_RDWR O_NONBLOCK FIONREAD TIOCOUTQ
        POLLIN POLLOUT POLLERR POLLHUP POLLRDHUP POLLNVAL EPOLL_CTL_ADD EPOLL_CTL_MOD EPOLL_CTL_DEL
        EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDHUP EPOLLET EPOLLONESHOT SPLICE_F_NONBLOCK
        EAGAIN EINPROGRESS EALREADY EISCONN ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT
        EINVAL ENOPROTOOPT ENOTCONN EBADF EADDRINUSE EADDRNOTAVAIL EOPNOTSUPP EHOSTUNREACH
        ENETUNREACH EMSGSIZE EAFNOSUPPORT EDEADLK EEXIST ENOENT EFAULT ENOMSG EDESTADDRREQ
        SO_TIMESTAMPING SOL_IP IP_MTU_DISCOVER IP_PMTUDISC_DONT IP_PMTUDISC_DO IP_RECVERR
        TCP_NOTSENT_LOWAT TCP_DEFER_ACCEPT TCP_SYNCNT TCP_LINGER2 TCP_WINDOW_CLAMP TCP_CC_INFO
        MSG_EOR MSG_CTRUNC EPOLLEXCLUSIVE EPOLLPRI POLLPRI
    }
    .into();
    symbols.extend([("SIOCINQ", 0x541b), ("SIOCOUTQ", 0x5411), ("SIOCOUTQNSD", 0x894b)]);
    symbols.extend([("TCP_INQ", 36), ("TCP_CM_INQ", 36), ("NULL", 0)]);
    symbols
}
