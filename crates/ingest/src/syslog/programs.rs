//! What known programs say in their messages, taken apart.
//!
//! A message that is in none of a program's known forms keeps its text only. A user name is whatever a client sent, also
//! ` from 192.0.2.9 port 22`: names are cut from the right, where sshd itself wrote the address.

use cresset_event::{EventBuilder, Value};

/// Adds the fields of a known program's message, and returns the word that the taxonomy knows the program by.
pub(super) fn read<'p>(program: &'p str, message: &str, builder: &mut EventBuilder) -> &'p str {
    let name = program.rsplit('/').next().unwrap_or(program);
    match name {
        "sshd" | "sshd-session" | "sshd-auth" => {
            sshd(message, builder);
            "sshd"
        }
        "sudo" => {
            sudo(message, builder);
            name
        }
        "cron" | "CRON" | "crond" | "CROND" | "anacron" => {
            cron(message, builder);
            "cron"
        }
        "named" => {
            named(message, builder);
            name
        }
        "dnsmasq" => {
            dnsmasq(message, builder);
            name
        }
        _ => name,
    }
}

fn push(builder: &mut EventBuilder, name: &str, value: &str) {
    if !value.is_empty() {
        builder.push(name, Value::Str(value));
    }
}

/// Forms of sshd's messages: how one begins, what that means, and what stands between it and ` from ADDRESS port N`.
const SSHD_FORMS: &[(&str, &str, &str)] = &[
    ("Failed password for ", "failed_password", "password"),
    ("Failed publickey for ", "failed_publickey", "publickey"),
    ("Failed keyboard-interactive/pam for ", "failed_password", "keyboard-interactive/pam"),
    ("Failed none for ", "failed_none", "none"),
    ("Accepted password for ", "accepted_password", "password"),
    ("Accepted publickey for ", "accepted_publickey", "publickey"),
    ("Accepted keyboard-interactive/pam for ", "accepted_password", "keyboard-interactive/pam"),
    ("Invalid user ", "invalid_user", ""),
    ("Disconnected from ", "disconnected", ""),
    ("Received disconnect from ", "disconnected", ""),
    ("Connection closed by ", "connection_closed", ""),
    ("Connection reset by ", "connection_reset", ""),
    ("error: maximum authentication attempts exceeded for ", "max_auth_exceeded", ""),
    ("pam_unix(sshd:session): session opened for user ", "session_opened", ""),
    ("pam_unix(sshd:session): session closed for user ", "session_closed", ""),
];

fn sshd(message: &str, builder: &mut EventBuilder) {
    let form = SSHD_FORMS.iter().find_map(|form| Some((form, message.strip_prefix(form.0)?)));
    let Some(((_, action, method), rest)) = form else { return };
    push(builder, "action", action);
    push(builder, "method", method);
    if action.starts_with("session_") {
        push(builder, "user", rest.split(['(', ' ']).next().unwrap_or_default());
        return;
    }
    let (who, at) = match rest.rsplit_once(" from ") {
        Some((who, at)) => (who, at),
        None => split_before_address(rest),
    };
    let user = ["invalid user ", "authenticating user ", "user "]
        .iter()
        .find_map(|prefix| who.strip_prefix(prefix))
        .unwrap_or(who);
    push(builder, "user", user.trim());
    let mut words = at.split(' ');
    let address = words.next().unwrap_or_default();
    if address.parse::<std::net::IpAddr>().is_ok() {
        push(builder, "src_ip", address);
        let port = words.nth(1).map(|port| port.trim_end_matches(|c: char| !c.is_ascii_digit()));
        if let Some(Ok(port)) = port.map(|port| port.split(':').next().unwrap_or(port).parse()) {
            builder.push("src_port", Value::Int(port));
        }
    }
}

/// `invalid user bob 192.0.2.7 port 22 [preauth]`, where no ` from ` tells the name from the address.
fn split_before_address(rest: &str) -> (&str, &str) {
    let Some((head, _)) = rest.rsplit_once(" port ") else { return ("", rest) };
    let who_len = head.rfind(' ').unwrap_or(0);
    (&rest[..who_len], rest[who_len..].trim_start())
}

/// `alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id`, a reason before the TTY where it was refused.
fn sudo(message: &str, builder: &mut EventBuilder) {
    let Some((user, rest)) = message.split_once(" : ") else { return };
    if user.contains("pam_unix") {
        return;
    }
    push(builder, "user", user.trim());
    let (head, command) = rest.split_once("COMMAND=").unwrap_or((rest, ""));
    let mut refused = false;
    for part in head.split(" ; ") {
        match part.trim().split_once('=') {
            Some((name @ ("TTY" | "PWD" | "USER" | "GROUP" | "TSID" | "HOST"), value)) => {
                push(builder, name, value.trim())
            }
            _ if part.trim().is_empty() => {}
            _ => {
                refused = true;
                push(builder, "reason", part.trim());
            }
        }
    }
    push(builder, "COMMAND", command);
    push(builder, "action", if refused { "sudo_failed" } else { "sudo_command" });
}

/// `(root) CMD (command)`.
fn cron(message: &str, builder: &mut EventBuilder) {
    let cut = message.strip_prefix('(').and_then(|rest| rest.split_once(") CMD ("));
    if let Some((user, command)) = cut {
        push(builder, "user", user);
        push(builder, "COMMAND", command.strip_suffix(')').unwrap_or(command));
        push(builder, "action", "cron_command");
    }
}

/// BIND's query log: `client @0x7f… 192.0.2.7#53211 (a.example): query: a.example IN A +E(0)K (192.0.2.53)`.
fn named(message: &str, builder: &mut EventBuilder) {
    let Some((client, query)) = message.split_once(": query: ") else { return };
    let address = client.split(' ').find_map(|word| word.split_once('#')).map(|(address, _)| address);
    push(builder, "src_ip", address.unwrap_or_default());
    let mut words = query.split(' ');
    push(builder, "query", words.next().unwrap_or_default());
    push(builder, "record_type", words.nth(1).unwrap_or_default());
    push(builder, "action", "query");
}

/// dnsmasq's query log: `query[A] a.example from 192.0.2.7`, `reply a.example is 192.0.2.80`.
fn dnsmasq(message: &str, builder: &mut EventBuilder) {
    let words: Vec<&str> = message.split(' ').take(4).collect();
    match words[..] {
        [asked, name, "from", address] if asked.starts_with("query[") => {
            let kind = asked.trim_start_matches("query[").trim_end_matches(']');
            push(builder, "action", "query");
            push(builder, "query", name);
            push(builder, "record_type", kind);
            push(builder, "src_ip", address);
        }
        [from @ ("reply" | "cached" | "config"), name, "is", answer] => {
            push(builder, "action", from);
            push(builder, "query", name);
            push(builder, "answer", answer);
        }
        _ => {}
    }
}
