//! Which proxy stands before a provider, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or in lower case).

use std::net::IpAddr;

use http::Uri;

use super::Context;

/// Decides for one base URL. Loopback is never proxied.
pub(super) fn proxy(base_url: &Uri, context: &mut Context<'_, '_>) -> Option<Uri> {
    let host = bare(base_url.host()?);
    let environment = context.environment();
    let is_https = base_url.scheme_str() == Some("https");
    let port = base_url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let exceptions = environment.first(["NO_PROXY", "no_proxy"]).map_or("", |(_, list)| list);
    if is_loopback(host) || is_excepted(host, port, exceptions) {
        return None;
    }
    let names = if is_https {
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    let (name, written) = environment.first(names)?;
    let proxy = parse(written);
    if proxy.is_none() {
        let remedy = "write http://HOST:PORT or https://HOST:PORT; until then it is not used";
        context.variable_warning(name, "not a proxy this gateway can use", remedy);
    }
    proxy
}

fn parse(written: &str) -> Option<Uri> {
    let with_scheme =
        if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
    let uri: Uri = with_scheme.parse().ok()?;
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `NO_PROXY`: `*`, names with all names below them (`example.org`, `.example.org`, `*.example.org`), addresses,
/// networks (`10.0.0.0/8`), each perhaps with a port.
fn is_excepted(host: &str, port: u16, list: &str) -> bool {
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        entry == "*" || {
            let (name, wanted_port) = split_port(entry);
            wanted_port.is_none_or(|wanted| wanted == port) && matches_host(host, name)
        }
    })
}

fn matches_host(host: &str, entry: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => in_network(address, network, bits),
            None => bare(entry).parse() == Ok(address),
        };
    }
    let host = host.to_ascii_lowercase();
    let entry = entry.to_ascii_lowercase();
    let name = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')).unwrap_or(&entry);
    !name.is_empty()
        && host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

/// `host:8080` and `[::1]:8080`; a bare IPv6 address has colons and no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            port.parse().map_or((entry, None), |port| (name, Some(port)))
        }
        _ => (entry, None),
    }
}

/// `[::1]` without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_follow_the_usual_rules() {
        for (list, host, port, excepted) in [
            ("*", "api.openai.com", 443, true),
            ("openai.com", "api.openai.com", 443, true),
            (".openai.com", "api.openai.com", 443, true),
            (".openai.com", "openai.com", 443, true),
            ("*.openai.com", "api.openai.com", 443, true),
            ("openai.com", "notopenai.com", 443, false),
            ("API.OpenAI.com", "api.openai.com", 443, true),
            ("openai.com:8443", "api.openai.com", 443, false),
            ("openai.com:443", "api.openai.com", 443, true),
            ("a.example, b.example", "b.example", 80, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("0.0.0.0/0", "11.1.2.3", 80, true),
            ("10.1.2.3", "10.1.2.3", 80, true),
            ("10.1.2.3:80", "10.1.2.3", 80, true),
            ("fd00::/8", "fd12::1", 80, true),
            ("[fd12::1]:80", "fd12::1", 80, true),
            ("fd12::1", "fd12::1", 80, true),
            ("", "api.openai.com", 443, false),
            ("10.0.0.0/99", "10.0.0.0", 80, false),
        ] {
            assert_eq!(is_excepted(host, port, list), excepted, "{host}:{port} in {list:?}");
        }
    }

    #[test]
    fn proxies_are_read_with_and_without_a_scheme() {
        assert_eq!(parse("proxy:3128").unwrap(), "http://proxy:3128/");
        assert_eq!(parse("https://u:p@proxy:3128").unwrap().host(), Some("proxy"));
        assert_eq!(parse("socks5://proxy:1080"), None);
    }
}
