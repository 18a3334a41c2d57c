// SPDX-License-Identifier: GPL-2.0-only
//! `umc web`: what it answers, and how the page looks in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use cluster::{Guard, PATIENCE, Start, Watch, eventually, mesh};
use serde_json::Value;

use crate::browser::Browser;
use crate::host::Host;

/// Resyncs take a while, and who does not answer is missed soon.
const RING: &str = r#"
nodes = 5
driver = "drbd"
disk.size = "64M"
drbd.net = "ping-int 1; ping-timeout 5; connect-int 1;"
drbd.disk = "c-max-rate 1M; resync-rate 1M; c-plan-ahead 0;"
"#;

struct Site {
    address: String,
    token: String,
    _server: Watch,
}

impl Site {
    fn of(host: &Host) -> Site {
        let mut server = Watch::start(host.command(&["web"]));
        let line = server.until("http://");
        let (address, token) = line.trim().split_once("/?token=").expect("an address with a token");
        let address = address.strip_prefix("http://").unwrap().to_owned();
        Site { address, token: token.to_owned(), _server: server }
    }

    fn begin(&self, path: &str, query: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path}?{query} HTTP/1.1\r\nHost: umc\r\nConnection: close\r\n\r\n")
            .unwrap();
        stream
    }

    fn ask(&self, path: &str, values: &str) -> String {
        let mut answer = String::new();
        let query = format!("token={}&{values}", self.token);
        self.begin(path, &query).read_to_string(&mut answer).unwrap();
        answer
    }

    fn ok(&self, path: &str, values: &str) -> String {
        let answer = self.ask(path, values);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

#[test]
fn a_cluster_in_the_browser() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    fs::write(host.dir.join("ring.toml"), RING).unwrap();
    host.ok(&["cluster", "up", "ring.toml"]);
    host.fails(&["web", "--listen", "0.0.0.0:0"], &["0.0.0.0", "127.0.0.1"]);
    let site = Site::of(&host);

    // Nothing without the token, and nothing is changed.
    for query in ["", "token=", &format!("token={}x", site.token), &format!("token={:032}", 0)] {
        for path in ["/", "/events", "/log", "/page.js"] {
            let mut answer = String::new();
            site.begin(path, query).read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 403") && !answer.contains(&site.token),
                "{answer}"
            );
        }
    }
    assert!(site.ask("/nothing", "").starts_with("HTTP/1.1 404"));
    let page = site.ok("/", "");
    // It asks for nothing from elsewhere.
    assert!(page.contains("/page.js?token=") && !page.contains("//umc"), "{page}");
    assert!(
        !page.replace("<!doctype", "").contains("://") && site.ok("/page.css", "").len() > 1000
    );

    // Events: what is now, and what changes, as it does.
    let mut events =
        BufReader::new(site.begin("/events", &format!("token={}", site.token))).lines();
    let mut until = |what: &str, is_it: &dyn Fn(&Value) -> bool| loop {
        let line = events.next().unwrap_or_else(|| panic!("no {what}")).unwrap();
        let look =
            line.strip_prefix("data: ").and_then(|text| serde_json::from_str::<Value>(text).ok());
        if look.is_some_and(|look| is_it(&look)) {
            return;
        }
    };
    let role = |look: &Value| look["nodes"][0]["resources"][0]["role"] == "Primary";
    until("look", &|look| {
        look["nodes"].as_array().is_some_and(|nodes| nodes.len() == 5) && !role(look)
    });
    host.on("n1", "drbdadm primary r0");
    until("Primary", &role);
    host.on("n2", "drbdadm invalidate r0");
    until("resync", &|look| look["nodes"][1]["resyncs"][0]["done_percent"].is_number());
    host.ok(&["cluster", "link", "cut", "n3", "n4"]);
    until("cut", &|look| look["links"][0]["cut"] == true);
    let lost = |look: &Value| look["nodes"][2].to_string().contains(r#""connection":"Connecting""#);
    until("lost connection", &lost);
    host.ok(&["cluster", "kill", "n5"]);
    until("dead node", &|look| look["nodes"][4]["pid"].is_null());

    // The last packets of a link, by name.
    eventually("packets of DRBD", || {
        let packets = site.ok("/packets", "cluster=default&a=n1&b=n2");
        packets.contains("RsDataReply") && packets.contains(r#""from":"n2""#)
    });
    assert!(site.ok("/log", "cluster=default&node=n3").contains("drbd"));
    assert!(site.ask("/log", "cluster=default&node=n5").contains("umc cluster start n5"));
    assert!(site.ask("/log", "cluster=default&node=n9").starts_with("HTTP/1.1 404"));

    in_chromium(&host, &site);
    drop(site);
    host.ok(&["cluster", "down"]);
    host.is_clean();
}

/// What a user sees, where there is a browser. Pictures go to UMC_PICTURES, if that is set.
fn in_chromium(host: &Host, site: &Site) {
    let url = format!("http://{}/?token={}", site.address, site.token);
    for (width, height) in [(1280, 760), (390, 844)] {
        let Some(mut browser) = Browser::open(&url, width, height, &host.dir) else {
            return mesh::left_out_because(
                "there is no chromium to look at umc web (apt-get install chromium)",
            );
        };
        eventually("the graph", || browser.value("document.querySelectorAll('.node').length") == 5);
        let text = browser.value("document.getElementById('clusters').innerText");
        let text = text.as_str().unwrap();
        for part in ["cut", "n1 → n2", "n5 is dead", "Primary", "Inconsistent"] {
            assert!(text.contains(part), "no {part} at {width}: {text}");
        }
        // All of it is on the screen, and no label is longer than the picture.
        assert_eq!(browser.value("document.documentElement.scrollWidth"), width);
        let is_outside = "[...document.querySelectorAll('.label rect, .node rect')].some((e) => { \
                          const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth })";
        assert_eq!(browser.value(is_outside), false);
        let panel = "document.getElementById('panel').innerText";
        // One click: the log of a node.
        browser.click(".node[data-key='node default n3'] rect");
        eventually("the log", || {
            browser
                .value(panel)
                .as_str()
                .is_some_and(|said| said.contains("n3: kernel log") && said.contains("drbd"))
        });
        // One click: the packets of a link.
        browser.value("scrollTo(0, 0)");
        browser.click(".link[data-key='link default n1 n2'] .hit");
        eventually("the packets", || {
            browser.value(panel).as_str().is_some_and(|said| said.contains("RsDataReply"))
        });
        browser.value("scrollTo(0, 0)");
        if let Some(dir) = std::env::var_os("UMC_PICTURES") {
            let path = std::path::Path::new(&dir).join(format!("web-{width}.png"));
            let mut decode = Command::new("base64");
            let mut decode = decode
                .arg("-d")
                .stdin(Stdio::piped())
                .stdout(fs::File::create(path).unwrap())
                .start()
                .unwrap();
            decode.stdin.take().unwrap().write_all(browser.picture().as_bytes()).unwrap();
            assert!(decode.wait().unwrap().success());
        }
    }
}
