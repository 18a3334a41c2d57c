// SPDX-License-Identifier: GPL-2.0-only
//! What the tools say, to people and to scripts; and the verbs that the driver itself calls.

use std::fs;

use cluster::text;

use crate::bench::{Bench, Step, has};

pub const STEPS: &[Step] = &[
    Step {
        verbs: &[
            "drbdadm role",
            "drbdadm cstate",
            "drbdadm dstate",
            "drbdsetup role",
            "drbdsetup state",
            "drbdsetup cstate",
            "drbdsetup dstate",
        ],
        run: one_word,
    },
    Step { verbs: &["drbdadm status", "drbdsetup status"], run: status },
    Step { verbs: &["drbdsetup sh-status", "drbdadm sh-status"], run: sh_status },
    Step {
        verbs: &["drbdadm show-gi", "drbdadm get-gi", "drbdsetup show-gi", "drbdsetup get-gi"],
        run: generations,
    },
    Step { verbs: &["drbdsetup events2", "drbdsetup events"], run: events },
    Step { verbs: &["drbdadm dump", "drbdadm dump-xml", "drbdadm hidden-commands"], run: dump },
    Step {
        verbs: &[
            "drbdadm sh-nop",
            "drbdadm sh-resources",
            "drbdadm sh-resource",
            "drbdadm sh-mod-parms",
            "drbdadm sh-dev",
            "drbdadm sh-udev",
            "drbdadm sh-minor",
            "drbdadm sh-ll-dev",
            "drbdadm sh-md-dev",
            "drbdadm sh-md-idx",
            "drbdadm sh-ip",
            "drbdadm sh-lr-of",
            "drbdadm sh-b-pri",
        ],
        run: for_scripts,
    },
    Step { verbs: &["drbdadm proxy-up", "drbdadm proxy-down"], run: no_proxy },
    Step {
        verbs: &[
            "drbdadm before-resync-target",
            "drbdadm after-resync-target",
            "drbdadm before-resync-source",
            "drbdadm pri-on-incon-degr",
            "drbdadm pri-lost-after-sb",
            "drbdadm fence-peer",
            "drbdadm unfence-peer",
            "drbdadm local-io-error",
            "drbdadm pri-lost",
            "drbdadm initial-split-brain",
            "drbdadm split-brain",
            "drbdadm out-of-sync",
        ],
        run: handlers,
    },
];

fn one_word(bench: &Bench) {
    let expected = [
        ("role", "Primary/Secondary", "Secondary/Primary"),
        ("cstate", "Connected", "Connected"),
        ("dstate", "UpToDate/UpToDate", "UpToDate/UpToDate"),
    ];
    for (verb, at_a, at_b) in expected {
        assert_eq!(bench.adm(bench.a(), &[verb, "r0"]), at_a);
        assert_eq!(bench.adm(bench.b(), &[verb, "r0"]), at_b);
        assert_eq!(bench.setup(bench.a(), &[verb, "0"]), at_a);
        assert_eq!(bench.setup(bench.b(), &[verb, "0"]), at_b);
    }
    assert_eq!(bench.setup(bench.b(), &["state", "0"]), "Secondary/Primary");
    // And when the peer is gone.
    bench.cluster.adm(bench.b(), &["disconnect", "r0"]);
    bench.awaits(bench.a(), &["cs:WFConnection"]);
    assert_eq!(bench.adm(bench.a(), &["role", "r0"]), "Primary/Unknown");
    assert_eq!(bench.adm(bench.a(), &["cstate", "r0"]), "WFConnection");
    assert_eq!(bench.adm(bench.b(), &["cstate", "r0"]), "StandAlone");
    assert_eq!(bench.adm(bench.a(), &["dstate", "r0"]), "UpToDate/DUnknown");
    bench.cluster.adm(bench.b(), &["connect", "r0"]);
    bench.settled();
}

fn status(bench: &Bench) {
    let expected = "r0 role:Primary\n  disk:UpToDate\n  peer role:Secondary\n    replication:Established peer-disk:UpToDate";
    assert_eq!(bench.adm(bench.a(), &["status", "r0"]), expected);
    assert_eq!(bench.setup(bench.a(), &["status", "r0"]), expected);
    let verbose = bench.setup(bench.b(), &["status", "r0", "--verbose", "--statistics"]);
    for part in [
        "role:Secondary suspended:no",
        "volume:0 minor:0 disk:UpToDate",
        "connection:Connected role:Primary",
        "out-of-sync:0",
    ] {
        has(&verbose, part);
    }
    let unknown = bench.try_setup(bench.a(), &["status", "none-such"]);
    assert_eq!(unknown.status.code(), Some(10), "{}", text(&unknown));
}

fn sh_status(bench: &Bench) {
    for text in [bench.setup(bench.b(), &["sh-status", "0"]), bench.adm(bench.b(), &["sh-status"])]
    {
        for part in [
            "_minor=0",
            "_res_name=r0",
            "_cstate=Connected",
            "_role=Secondary",
            "_peer=Primary",
            "_disk=UpToDate",
        ] {
            has(&text, part);
        }
    }
}

fn generations(bench: &Bench) {
    let gi = bench.setup(bench.a(), &["get-gi", "0"]);
    assert_eq!(bench.adm(bench.a(), &["get-gi", "r0"]), gi);
    let [mine, peers] = [gi.clone(), bench.setup(bench.b(), &["get-gi", "0"])]
        .map(|gi| u64::from_str_radix(&gi[..16], 16).expect("a UUID"));
    assert_eq!(mine & !1, peers & !1, "both have the same generation");
    assert_eq!(mine & 1, 1, "the Primary's has its mark");
    for text in
        [bench.adm(bench.a(), &["show-gi", "r0"]), bench.setup(bench.a(), &["show-gi", "0"])]
    {
        has(&text, &gi);
        has(&text, "flags: Primary, Connected, UpToDate");
    }
}

fn events(bench: &Bench) {
    let now = bench.setup(bench.a(), &["events2", "--now", "r0"]);
    assert_eq!(
        now.lines().collect::<Vec<_>>(),
        [
            "exists resource name:r0 role:Primary suspended:no",
            "exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary",
            "exists device name:r0 volume:0 minor:0 disk:UpToDate",
            "exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established \
             peer-disk:UpToDate resync-suspended:no",
            "exists -",
        ]
    );
    // The old form: one line of state, then what changes.
    let mut old = bench.follow(bench.a(), &["events", "0"]);
    has(&old.until("0,r0[0]"), "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate");
    bench.cluster.adm(bench.b(), &["disconnect", "r0"]);
    old.until("cs:WFConnection");
    bench.cluster.adm(bench.b(), &["connect", "r0"]);
    old.until("cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate");
    bench.settled();
}

fn dump(bench: &Bench) {
    has(&bench.adm(bench.a(), &["dump", "r0"]), "on v-texts-a {");
    has(&bench.adm(bench.a(), &["dump-xml", "r0"]), "<resource name=\"r0\"");
    has(&bench.adm(bench.a(), &["hidden-commands"]), "sh-resources");
}

fn for_scripts(bench: &Bench) {
    let b = bench.b();
    let [local, _] = bench.addresses(b);
    let ip = local.trim_start_matches("ipv4:").split(':').next().expect("an address").to_owned();
    let expected = [
        ("sh-nop", ""),
        ("sh-resources", "r0"),
        ("sh-resource", "r0"),
        ("sh-dev", "/dev/drbd0"),
        ("sh-minor", "0"),
        ("sh-ll-dev", "/dev/low0"),
        ("sh-md-dev", "/dev/low0"),
        ("sh-md-idx", "internal"),
        ("sh-ip", &ip),
        ("sh-b-pri", ""),
    ];
    for (verb, said) in expected {
        assert_eq!(bench.adm(b, &[verb, "r0"]), said, "{verb}");
    }
    has(&bench.adm(b, &["sh-mod-parms"]), "minor_count=");
    has(&bench.adm(b, &["sh-udev", "r0/0"]), "RESOURCE=r0");
    has(&text(&bench.try_adm(b, &["sh-lr-of", "r0"])), "only available in stacked mode");
}

fn no_proxy(bench: &Bench) {
    for verb in ["proxy-up", "proxy-down"] {
        has(&text(&bench.try_adm(bench.a(), &[verb, "r0"])), "not defined in your config");
    }
}

/// Each of the driver's verbs runs the handler that is configured for it, with what handlers count on.
fn handlers(bench: &Bench) {
    let verbs: Vec<&str> = STEPS
        .iter()
        .find(|step| step.verbs.contains(&"drbdadm fence-peer"))
        .map(|step| step.verbs.iter().filter_map(|verb| verb.strip_prefix("drbdadm ")).collect())
        .expect("this step");
    let log = bench.cluster.dir.join("handled");
    let lines: String = verbs
        .iter()
        .map(|verb| {
            format!("    {verb} \"echo {verb} $DRBD_RESOURCE $DRBD_CONF >> {}\";\n", log.display())
        })
        .collect();
    bench.configure("  net {", &format!("  handlers {{\n{lines}  }}\n  net {{"));
    for verb in &verbs {
        fs::write(&log, "").expect("the log");
        // As the driver calls it.
        let object = if verb.contains("fence-peer") { "r0" } else { "minor-0" };
        bench.adm(bench.b(), &[verb, object]);
        let said = fs::read_to_string(&log).expect("the log");
        assert_eq!(said.trim(), format!("{verb} r0 {}", bench.cluster.conf().display()));
    }
}
