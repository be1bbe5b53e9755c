//! Problems, as people get them: a page that says what happened and what to do, where programs get problem details.
//!
//! It is made of the answer that a program would get, on the way out: whatever refused the request, and wherever, a browser
//! that opened a page gets one. Paths of the API are for programs, whoever asks.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::door::door;
use crate::problem::Problem;

/// Makes a page of a problem, for a browser that opened one.
pub(crate) async fn for_people(request: Request, next: Next) -> Response {
    let is_page = !request.uri().path().starts_with("/api/") && prefers_html(request.headers());
    let response = next.run(request).await;
    if !is_page {
        return response;
    }
    let problem = match (response.extensions().get::<Problem>(), response.status()) {
        (Some(problem), _) => problem.clone(),
        // In the words of a protocol that shares our paths, in which no browser speaks.
        (None, StatusCode::NOT_FOUND) => Problem::not_found("page"),
        (None, _) => return response,
    };
    let headers = response.headers().clone();
    in_place_of(headers, &problem)
}

fn in_place_of(headers: HeaderMap, problem: &Problem) -> Response {
    let mut response = (problem.status(), page_of(problem)).into_response();
    let kept = [header::WWW_AUTHENTICATE, header::RETRY_AFTER, header::ALLOW];
    let kept = kept.into_iter().filter_map(|name| headers.get(&name).map(|value| (name, value.clone())));
    response.headers_mut().extend(kept.collect::<HeaderMap>());
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn page_of(problem: &Problem) -> Markup {
    let (happened, remedy) = said(problem);
    let is_unknown = matches!(problem.status(), StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS);
    door(
        problem.title(),
        html! {
            p { (happened) }
            p { (remedy) }
            p .ways {
                @if is_unknown { a .go href="/sign-in" { "Sign in" } } @else { a .go href="/" { "To the watch floor" } }
                @if problem.status() == StatusCode::FORBIDDEN { a href="/sign-in" { "Sign in with another token" } }
            }
            p .muted { "Status " (problem.status().as_u16()) }
        },
    )
}

/// Returns what happened, and what to do.
fn said(problem: &Problem) -> (String, String) {
    let sentence = |text: &str| {
        let mut chars = text.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).chain(['.']).collect())
    };
    let (happened, remedy) = match problem.status() {
        StatusCode::UNAUTHORIZED => {
            ("you are not signed in, or what you sent did not come from this centre's page", "sign in, and do it again")
        }
        StatusCode::FORBIDDEN => (problem.detail(), "whoever administers this centre issues tokens that may"),
        StatusCode::NOT_FOUND => {
            (problem.detail(), "check the address: what was merged or removed has another, or none")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            ("too much was asked from where you are, or wrong tokens were tried", problem.detail())
        }
        StatusCode::SERVICE_UNAVAILABLE => (problem.detail(), "the centre is there: try again in a moment"),
        StatusCode::INTERNAL_SERVER_ERROR => (
            "the centre could not answer, and its log says why",
            "try again; if it stays so, tell whoever runs this centre when it happened",
        ),
        _ => (problem.detail(), "go back, and try another way"),
    };
    (sentence(happened), sentence(remedy))
}

/// Whether who asks would rather have a page than what programs read (RFC 9110, section 12.5.1). Who takes anything is a program.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let (mut html, mut json) = (0.0, 0.0);
    for range in accepts.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match kind.as_str() {
            "text/html" => html = f32::max(html, quality),
            "application/json" | "application/problem+json" => json = f32::max(json, quality),
            _ => {}
        }
    }
    html > 0.0 && html >= json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_prefers_a_page_gets_one() {
        for (accept, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("TEXT/HTML", true),
            ("application/json, text/html;q=0.9", false),
            ("text/html;q=0.9, application/problem+json;q=0.5", true),
            ("text/html;q=0", false),
            ("text/html;q=much", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            let accept = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_html(&accept), expected, "{accept:?}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn each_problem_says_what_happened_and_what_to_do() {
        let problems = [
            Problem::unauthenticated(),
            Problem::forbidden("read"),
            Problem::not_found("incident"),
            Problem::method(),
            Problem::too_many(7),
            Problem::internal(),
            Problem::unavailable("the records cannot be written now"),
        ];
        for problem in problems {
            let (happened, remedy) = said(&problem);
            assert!(happened.len() > 10 && remedy.len() > 10 && happened != remedy, "{happened} {remedy}");
            let page = page_of(&problem).into_string();
            assert!(page.contains("<h1>") && page.contains("href"), "{page}");
            assert!(!page.contains("Authorization"), "that is for programs: {page}");
        }
        let hostile = page_of(&Problem::not_found("<script>1</script>")).into_string();
        assert!(!hostile.contains("<script>1"), "{hostile}");
    }
}
