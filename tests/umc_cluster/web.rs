// SPDX-License-Identifier: GPL-2.0-only
//! `umc web`: what it answers, and how the page looks in a browser.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use cluster::{Guard, PATIENCE, Start, Watch, eventually, mesh};
use serde_json::Value;

use crate::browser::Browser;
use crate::host::{Host, children, kill, parent_and_state};

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
    server: Watch,
}

impl Site {
    /// With an address of its own, and with so many seconds at most from one event to the next, if it is not to be the usual one.
    fn of(host: &Host, tick_s: Option<&str>) -> Site {
        let mut command = host.command(&["web"]);
        command.envs(tick_s.map(|seconds| ("UMC_WEB_TICK_S", seconds)));
        let mut server = Watch::start(command);
        let line = server.until("http://");
        let (address, token) = line.trim().split_once("/?token=").expect("an address with a token");
        let address = address.strip_prefix("http://").unwrap().to_owned();
        Site { address, token: token.to_owned(), server }
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

    /// What a page is told, as long as it is there.
    fn events(&self) -> Events {
        let stream = self.begin("/events", &format!("token={}", self.token));
        Events(BufReader::new(stream).lines())
    }

    fn children_that(&self, do_this: &str) -> usize {
        children(self.server.pid()).iter().filter(|(_, line)| line.contains(do_this)).count()
    }
}

struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    /// Waits for a look that is so.
    #[track_caller]
    fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        eventually(what, || {
            let line = self.0.next().unwrap_or_else(|| panic!("no {what}"));
            let line = line.unwrap_or_else(|error| panic!("no {what}: {error}"));
            let look = line.strip_prefix("data: ").map(serde_json::from_str::<Value>);
            look.is_some_and(|look| is_it(&look.unwrap()))
        });
    }
}

#[test]
fn a_cluster_in_the_browser() {
    let host = Host::new(true);
    let _guard = Guard::start(&host.dir);
    fs::write(host.dir.join("ring.toml"), RING).unwrap();
    host.ok(&["cluster", "up", "ring.toml"]);
    host.fails(&["web", "--listen", "0.0.0.0:0"], &["0.0.0.0", "127.0.0.1"]);
    let site = Site::of(&host, None);

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

    // Whoever only holds connections bars nobody, and ends nothing.
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(&site.address).unwrap()).collect();
    assert!(site.ok("/", "").contains("page.js"));
    drop(silent);

    // Events: what is now, and what changes, as it does: here nothing else comes for longer than a test waits.
    let patient = Site::of(&host, Some("600"));
    let mut events = patient.events();
    let role = |look: &Value| look["nodes"][0]["resources"][0]["role"] == "Primary";
    events.until("look", |look| {
        look["nodes"].as_array().is_some_and(|nodes| nodes.len() == 5) && !role(look)
    });
    host.on("n1", "drbdadm primary r0");
    events.until("Primary", role);
    host.on("n2", "drbdadm invalidate r0");
    events.until("resync", |look| look["nodes"][1]["resyncs"][0]["done_percent"].is_number());
    host.ok(&["cluster", "link", "cut", "n3", "n4"]);
    events.until("lost connection", |look| {
        look["links"][0]["cut"] == true
            && look["nodes"][2].to_string().contains(r#""connection":"Connecting""#)
    });
    host.ok(&["cluster", "kill", "n5"]);
    events.until("dead node", |look| look["nodes"][4]["pid"].is_null());
    // Killed, it leaves nothing behind.
    let followed = children(patient.server.pid());
    assert!(followed.iter().any(|(_, line)| line.contains("events2")), "{followed:?}");
    kill(&patient.server.pid().to_string());
    eventually("no program of umc web", || {
        followed.iter().all(|(pid, _)| parent_and_state(*pid).is_none_or(|(_, state)| state == "Z"))
    });
    drop((events, patient));

    // Packets are kept as long as a page is open.
    assert!(site.ask("/packets", "cluster=default&a=n1&b=n2").contains("while a page is open"));
    let mut events = site.events();
    events.until("look", |look| look["nodes"].is_array());
    // The last packets of a link, by name.
    eventually("packets of DRBD", || {
        let packets = site.ok("/packets", "cluster=default&a=n1&b=n2");
        packets.contains("RsDataReply") && packets.contains(r#""from":"n2""#)
    });
    // A helper that went is one of a node, and no end of umc web: what it writes there is not answered by SIGPIPE.
    let of_web = fs::read_to_string(format!("/proc/{}/status", site.server.pid())).unwrap();
    let ignored = of_web.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_ne!(u64::from_str_radix(ignored, 16).unwrap() & 1 << (libc::SIGPIPE - 1), 0);
    for (pid, line) in children(site.server.pid()) {
        if line.contains("cluster capture") {
            kill(&pid.to_string());
        }
    }
    eventually("a helper's end in the answer", || {
        site.ok("/packets", "cluster=default&a=n1&b=n2").contains("Node n1 does not tell")
    });
    drop(events);
    eventually("no helper without a page", || site.children_that("cluster capture") == 0);
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
