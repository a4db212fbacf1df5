//! The three services of a shop, and how each copes without the others.
//!
//! ```text
//!  you --> front --> users
//!            |         ^
//!            +--> orders
//! ```
//!
//! Whoever asks has less time than whoever asked it: an answer that comes when nobody waits for it
//! any more is work for nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use demos::http::escape_json;
use demos::outside;

use crate::call::{self, Patience};
use crate::service::{Answer, PORT};

pub(crate) const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const USERS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
pub(crate) const ORDERS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

/// What front has for each of those whom it asks.
const FOR_FRONT: Patience = Patience { deadline: Duration::from_millis(800), tries: 2 };

/// What orders has for users.
const FOR_ORDERS: Patience = Patience { deadline: Duration::from_millis(200), tries: 2 };

/// The name and the town of the users, by number.
const PEOPLE: [(&str, &str); 2] = [("Ada", "London"), ("Grace", "Arlington")];

/// What was ordered, and by whom.
const GOODS: [(usize, &str); 3] = [(0, "tea"), (1, "a compiler"), (0, "punched cards")];

/// Where a service is.
pub(crate) fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, PORT)
}

/// `GET /users/N` is a name, `GET /users/N/town` a town.
pub(crate) fn users() -> Answer {
    Arc::new(|_, path| {
        let (number, what) = numbered(path, "/users/")?;
        let (name, town) = PEOPLE.get(number)?;
        match what {
            "" => Some(text(name)),
            "/town" => Some(text(town)),
            _ => None,
        }
    })
}

/// `GET /orders/N` is what a user ordered, and where it goes, which users knows: `null` if it does
/// not say.
pub(crate) fn orders() -> Answer {
    Arc::new(|host, path| {
        let (number, "") = numbered(path, "/orders/")? else { return None };
        let goods = GOODS.iter().filter(|(user, _)| *user == number);
        let goods: Vec<String> = goods.map(|(_, name)| text(name)).collect();
        let town = call::get(host, at(USERS), &format!("/users/{number}/town"), FOR_ORDERS);
        let town = town.unwrap_or_else(|_| "null".to_owned());
        Some(format!("{{\"goods\":[{}],\"to\":{town}}}", goods.join(",")))
    })
}

/// `GET /home/N` is all of this at once. What is missing is `null`, and `missing` says why.
pub(crate) fn front() -> Answer {
    Arc::new(|host, path| {
        let (number, "") = numbered(path, "/home/")? else { return None };
        let (also, orders_path) = (host.clone(), format!("/orders/{number}"));
        // Both at once: the slower one decides how long it takes.
        let orders =
            outside::spawn("orders", move || call::get(&also, at(ORDERS), &orders_path, FOR_FRONT));
        let user = call::get(host, at(USERS), &format!("/users/{number}"), FOR_FRONT);
        let user = user.map_err(|failure| failure.to_string());
        let orders = match orders.map(|thread| thread.join()) {
            Ok(Ok(result)) => result.map_err(|failure| failure.to_string()),
            _ => Err("no thread to ask".to_owned()),
        };
        let mut missing = Vec::new();
        let mut or_null = |name: &str, result: Result<String, String>| {
            result.unwrap_or_else(|why| {
                missing.push(text(&format!("{name}: {why}")));
                "null".to_owned()
            })
        };
        let (user, orders) = (or_null("users", user), or_null("orders", orders));
        let missing = missing.join(",");
        Some(format!("{{\"user\":{user},\"orders\":{orders},\"missing\":[{missing}]}}"))
    })
}

/// A text in JSON.
fn text(text: &str) -> String {
    format!("\"{}\"", escape_json(text))
}

/// The number behind a prefix, and what is behind that.
fn numbered<'a>(path: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let rest = path.strip_prefix(prefix)?;
    let end = rest.find('/').unwrap_or(rest.len());
    Some((rest[..end].parse().ok()?, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_numbers() {
        assert_eq!(numbered("/users/12", "/users/"), Some((12, "")));
        assert_eq!(numbered("/users/1/town", "/users/"), Some((1, "/town")));
        for path in ["/users/", "/users/x", "/user/1", "/users/-1"] {
            assert_eq!(numbered(path, "/users/"), None, "{path}");
        }
    }
}
