// SPDX-License-Identifier: GPL-2.0-only
//! Namespaces of other nodes as disks: the NVMe host over TCP, under its stock `nvme`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Model, NvmeTarget, Over, Random, Volumes, assert_same, eventually};

const SUBSYSTEM: &str = "nqn.2026-11.test:host";
/// What tells that two namespaces are one.
const UUID: &str = "00112233-4455-4677-8899-aabbccddeeff";

/// A node that attaches namespaces.
struct Host(Volumes);

impl Host {
    fn new(name: &str) -> Host {
        let volumes = Volumes::new(name, "nvme-core");
        volumes.line("modprobe nvme-tcp");
        Host(volumes)
    }

    fn connect(&self, address: SocketAddr, options: &str) {
        let (ip, port) = (address.ip(), address.port());
        self.0.line(&format!("nvme connect -t tcp -a {ip} -s {port} -n {SUBSYSTEM} {options}"));
    }

    /// The disk of the subsystem's first namespace, once it is there.
    fn disk(&self) -> PathBuf {
        let disk = self.0.path("dev/nvme0n1");
        eventually("the namespace is a disk", || disk.exists());
        disk
    }

    /// The states of all controllers.
    fn states(&self) -> Vec<String> {
        let dir = fs::read_dir(self.0.path("sys/class/nvme")).unwrap();
        let mut names: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let read = |dir: &PathBuf| fs::read_to_string(dir.join("state")).unwrap_or_default();
        names.iter().map(read).map(|state| state.trim().to_owned()).collect()
    }
}

#[test]
fn a_namespace_of_another_node() {
    let server = Volumes::new("nvmeh-server", "nvmet");
    let target = NvmeTarget::new(&server.0, server.0.a());
    let address = target.export(SUBSYSTEM, "/dev/ram0");
    let host = Host::new("nvmeh-client");
    let (ip, port) = (address.ip(), address.port());
    let found = host.0.line(&format!("nvme discover -t tcp -a {ip} -s {port}"));
    assert!(found.contains(SUBSYSTEM), "{found}");
    for digests in ["", "--hdr-digest --data-digest"] {
        host.connect(address, digests);
        let disk = host.disk();
        let mut model = Model::open(&disk);
        let mut random = Random::new("nvme-host");
        (0..200).for_each(|_| model.write(&mut random));
        model.sync();
        model.check();
        let content = model.close();
        assert_same(&fs::read(server.path("dev/ram0")).unwrap(), &content, "the other node");
        host.0.line("blkdiscard -o 65536 -l 131072 /dev/nvme0n1");
        let mut start = vec![1; 128 << 10];
        File::open(server.path("dev/ram0")).unwrap().read_exact_at(&mut start, 64 << 10).unwrap();
        assert!(start.iter().all(|byte| *byte == 0), "a RAM disk reads as zero there");
        let list = host.0.line("nvme list");
        assert!(list.contains("/dev/nvme0n1") && list.contains("33.55  MB"), "{list}");
        assert!(host.0.line("nvme list-subsys").contains(" live"));
        assert!(host.0.line("nvme id-ctrl /dev/nvme0").contains("mn        : Linux"));
        assert!(host.0.line("nvme id-ns /dev/nvme0n1").contains("nsze    : 0x10000"));
        assert!(host.0.line("lsblk -n -o NAME,SIZE /dev/nvme0n1").contains("32M"));
        host.0.line(&format!("nvme disconnect -n {SUBSYSTEM}"));
        assert!(!disk.exists());
    }
    // Nobody is there; a subsystem that is not.
    let refused =
        host.0.refused(&["nvme", "connect", "-t", "tcp", "-a", "127.0.0.1", "-s", "9", "-n", "x"]);
    assert!(refused.contains("refused"), "{refused}");
    let (ip, port) = (ip.to_string(), port.to_string());
    let refused =
        host.0.refused(&["nvme", "connect", "-t", "tcp", "-a", &ip, "-s", &port, "-n", "x"]);
    assert!(refused.contains("failed to write"), "{refused}");
    // With a controller attached: it is taken down first.
    host.connect(address, "");
    host.disk();
    let log = host.0.0.dir.join("run").join(host.0.0.a()).join("log");
    let log = File::open(log).unwrap();
    host.0.stop();
    let said = std::io::read_to_string(log).unwrap();
    assert!(said.contains("takes down nvme0"), "{said}");
    server.stop();
}

/// A target of the same namespace as others': a file that all of them have.
struct Path {
    volumes: Volumes,
    address: SocketAddr,
    image: String,
    number: u32,
}

impl Path {
    fn new(name: &str, image: &str, number: u32) -> Path {
        let volumes = Volumes::new(name, "nvmet");
        let path =
            Path { volumes, address: NvmeTarget::free_address(), image: image.to_owned(), number };
        path.export();
        path
    }

    fn target(&self) -> NvmeTarget {
        NvmeTarget::new(&self.volumes.0, self.volumes.0.a())
    }

    fn export(&self) {
        let target = self.target();
        target.add_subsystem(SUBSYSTEM);
        let subsystem = target.subsystem(SUBSYSTEM);
        // Numbers of controllers differ, the rest does not.
        let first = self.number * 100;
        NvmeTarget::set(&subsystem.join("attr_serial"), "one and the same");
        NvmeTarget::set(&subsystem.join("attr_cntlid_max"), &(first + 99).to_string());
        NvmeTarget::set(&subsystem.join("attr_cntlid_min"), &first.to_string());
        target.add_namespace(SUBSYSTEM, 1, &self.image, &[("device_uuid", UUID)]);
        target.add_port(1, self.address);
        target.link(1, SUBSYSTEM);
    }

    fn set_state(&self, state: &str) {
        NvmeTarget::set(&self.target().port(1).join("ana_groups/1/ana_state"), state);
    }
}

/// Two paths to one namespace: I/O goes on when one of them goes away, by its state or with its node, and it comes back.
#[test]
fn two_paths() {
    let host = Host::new("nvmep-host");
    let image = host.0.0.dir.join("shared");
    File::create(&image).unwrap().set_len(16 << 20).unwrap();
    let image = image.display().to_string();
    let paths = [Path::new("nvmep-one", &image, 1), Path::new("nvmep-two", &image, 2)];
    for path in &paths {
        host.connect(path.address, "--reconnect-delay 1 --ctrl-loss-tmo 60 --keep-alive-tmo 2");
    }
    let disk = host.disk();
    assert_eq!(host.states(), ["live", "live"]);
    assert!(!host.0.path("dev/nvme1n1").exists(), "one disk for both");
    let mut model = Model::open(&disk);
    let mut random = Random::new("two-paths");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut writes = 0;
            while !is_over.load(Ordering::Relaxed) || writes < 100 {
                model.write(&mut random);
                writes += 1;
            }
            model.sync();
            model.check();
        });
        let over = Over(&is_over);
        for (off, on) in [(0, 1), (1, 0)] {
            paths[off].set_state("inaccessible");
            paths[on].set_state("optimized");
            let log = || host.0.line(&format!("nvme ana-log /dev/nvme{off}"));
            eventually("the host knows", || log().contains("inaccessible"));
        }
        paths[1].set_state("optimized");
        // Killed with requests under way.
        let cluster = &paths[0].volumes.0;
        cluster.kill(cluster.a());
        eventually("the path is lost", || host.states().contains(&"connecting".to_owned()));
        cluster.start(cluster.a());
        paths[0].export();
        eventually("the path is back", || host.states() == ["live", "live"]);
        drop(over);
        writer.join().unwrap();
    });
    let content = model.close();
    host.0.line(&format!("nvme disconnect -n {SUBSYSTEM}"));
    assert_same(&fs::read(&image).unwrap(), &content, "the file");
    host.0.stop();
    paths.iter().for_each(|path| path.volumes.stop());
}
