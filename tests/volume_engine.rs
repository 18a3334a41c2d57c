// SPDX-License-Identifier: GPL-2.0-only
//! A replicated volume service of nodes: two keep thin volumes and export them by NVMe over TCP; a third mirrors both with md and
//! exports the mirror. `docs/exports.md` tells how to build it by hand.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{NvmeNamespace, NvmeTarget, Over, Random, Volumes, assert_same, eventually};
use nvme::Host;

/// Sectors of a volume.
const VOLUME: u64 = 16 << 11;
const VOLUME_NAME: &str = "nqn.2026-11.test:volume";

/// A node with a pool of thin volumes, all of which it can export.
struct Store {
    volumes: Volumes,
    nqn: String,
    address: SocketAddr,
}

impl Store {
    fn new(name: &str) -> Store {
        let volumes = Volumes::new(name, "dm-mod");
        let nqn = format!("nqn.2026-11.test:{name}");
        let store = Store { volumes, nqn, address: NvmeTarget::free_address() };
        store.fill();
        store
    }

    /// Makes the pool on its RAM disks, a volume in it, and exports that.
    fn fill(&self) {
        self.volumes.line("modprobe dm-thin-pool");
        let pool = format!("0 {} thin-pool /dev/ram1 /dev/ram0 128 0", Volumes::DISK);
        self.volumes.run(&["dmsetup", "create", "pool", "--table", &pool]);
        self.add(0, "create_thin 0");
        let target = self.target();
        target.add_subsystem(&self.nqn);
        target.add_namespace(&self.nqn, 1, "/dev/mapper/thin0", &[]);
        target.add_port(1, self.address);
        target.link(1, &self.nqn);
    }

    fn target(&self) -> NvmeTarget {
        NvmeTarget::new(&self.volumes.0, self.volumes.0.a())
    }

    /// Makes volume `number` with a message to the pool, and maps it.
    fn add(&self, number: u32, message: &str) {
        self.volumes.run(&["dmsetup", "message", "/dev/mapper/pool", "0", message]);
        let (name, thin) =
            (format!("thin{number}"), format!("0 {VOLUME} thin /dev/mapper/pool {number}"));
        self.volumes.run(&["dmsetup", "create", &name, "--table", &thin]);
    }

    /// A snapshot of a volume as another one.
    fn snapshot(&self, of: u32, number: u32) {
        self.volumes.line(&format!("dmsetup suspend thin{of}"));
        self.add(number, &format!("create_snap {number} {of}"));
        self.volumes.line(&format!("dmsetup resume thin{of}"));
    }

    fn content(&self, number: u32) -> Vec<u8> {
        let minor = format!("dmsetup info -c --noheadings -o minor thin{number}");
        let minor = self.volumes.line(&minor);
        fs::read(self.volumes.path(&format!("dev/dm-{}", minor.trim()))).unwrap()
    }
}

/// The node with the mirror.
struct Head {
    volumes: Volumes,
    address: SocketAddr,
}

impl Head {
    fn new(stores: &[Store; 2]) -> Head {
        let volumes = Volumes::new("engine-head", "md-mod");
        for module in ["raid1", "dm-mod", "nvme-tcp", "nvmet"] {
            volumes.line(&format!("modprobe {module}"));
        }
        let head = Head { volumes, address: NvmeTarget::free_address() };
        let disks = [0, 1].map(|index| head.attach(&stores[index], index));
        let [one, two] = &disks;
        head.volumes.line(&format!(
            "mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --bitmap=internal {one} {two}"
        ));
        eventually("the disks are the same", || head.is_whole());
        // A device in between that can be told to hold everything back.
        let sectors = head.volumes.line("blockdev --getsz /dev/md0");
        let table = format!("0 {} linear /dev/md0 0", sectors.trim());
        head.volumes.run(&["dmsetup", "create", "volume", "--table", &table]);
        let target = NvmeTarget::new(&head.volumes.0, head.volumes.0.a());
        target.add_subsystem(VOLUME_NAME);
        target.add_namespace(VOLUME_NAME, 1, "/dev/mapper/volume", &[]);
        target.add_port(1, head.address);
        target.link(1, VOLUME_NAME);
        head
    }

    /// Attaches what a store exports; the name of the disk that it becomes.
    fn attach(&self, store: &Store, number: usize) -> String {
        let (ip, port) = (store.address.ip(), store.address.port());
        self.volumes.line(&format!(
            "nvme connect -t tcp -a {ip} -s {port} -n {} --reconnect-delay 1 --ctrl-loss-tmo 1 --keep-alive-tmo 2",
            store.nqn
        ));
        let disk = format!("/dev/nvme{number}n1");
        eventually("the volume is a disk", || self.volumes.path(&disk[1..]).exists());
        disk
    }

    /// Whether both disks are there, and nothing is copied any more.
    fn is_whole(&self) -> bool {
        let state = self.state();
        state.contains("[UU]") && !state.contains("resync") && !state.contains("recovery")
    }

    /// What the array says of its disks: `UU` where both are there.
    fn state(&self) -> String {
        fs::read_to_string(self.volumes.path("proc/mdstat")).unwrap()
    }
}

#[test]
fn a_replicated_volume_with_snapshots() {
    let stores = ["engine-one", "engine-two"].map(Store::new);
    let head = Head::new(&stores);
    let mut random = Random::new("engine");
    let mut model = NvmeNamespace::connect(head.address, VOLUME_NAME, Host::default());
    model.play(&mut random, 200, 16);
    model.check();

    // A snapshot of both replicas at one moment.
    head.volumes.line("dmsetup suspend volume");
    stores.iter().for_each(|store| store.snapshot(0, 1));
    head.volumes.line("dmsetup resume volume");
    let at_snapshot = model.content.clone();
    model.play(&mut random, 200, 16);
    model.check();
    let shown = head.volumes.line("mdadm --examine /dev/nvme0n1");
    let offset = shown.lines().find_map(|line| line.trim().strip_prefix("Data Offset : "));
    let offset =
        offset.and_then(|text| text.split(' ').next()).unwrap().parse::<usize>().unwrap() << 9;
    for store in &stores {
        assert_same(&store.content(1)[offset..], &at_snapshot, "a snapshot");
        assert_same(&store.content(0)[offset..], &model.content, "a replica");
    }

    // A replica is lost with its node and everything in it, and is built anew while the volume is written to.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                model.play(&mut random, 20, 8);
            }
        });
        let over = Over(&is_over);
        let lost = &stores[1].volumes;
        lost.0.kill(lost.0.a());
        eventually("the array knows", || head.state().contains("[U_]"));
        lost.0.start(lost.0.a());
        lost.load("dm-mod");
        stores[1].fill();
        // The array lets go of a disk once nothing is under way there any more.
        eventually("the lost disk is taken out", || {
            head.volumes.line("mdadm /dev/md0 --remove detached");
            !head.state().contains("nvme1n1")
        });
        eventually("its name is free", || !head.volumes.path("dev/nvme1n1").exists());
        let disk = head.attach(&stores[1], 1);
        head.volumes.line(&format!("mdadm /dev/md0 --add {disk}"));
        eventually("it is whole again", || head.is_whole());
        drop(over);
        writer.join().unwrap();
    });
    model.check();
    for store in &stores {
        assert_same(&store.content(0)[offset..], &model.content, "a replica");
    }

    // A clone of the snapshot, used by itself; the snapshot stays as it is.
    let store = &stores[0];
    store.snapshot(1, 2);
    let clone = File::options().write(true).open(store.volumes.path("dev/mapper/thin2")).unwrap();
    clone.write_all_at(&[7; 4096], offset as u64).unwrap();
    clone.sync_all().unwrap();
    drop(clone);
    let content = store.content(2);
    assert_same(&content[offset..][..4096], &[7; 4096], "the clone");
    assert_same(&content[offset + 4096..], &at_snapshot[4096..], "the clone");
    assert_same(&store.content(1)[offset..], &at_snapshot, "the snapshot");

    // A backup of it in a file that has holes where there is nothing, and back into a new volume.
    let file = store.volumes.0.dir.join("backup").display().to_string();
    store.volumes.line(&format!("cp --sparse=always /dev/mapper/thin1 {file}"));
    store.add(3, "create_thin 3");
    store
        .volumes
        .line(&format!("dd if={file} of=/dev/mapper/thin3 bs=64k conv=sparse,fsync status=none"));
    assert_same(&store.content(3), &store.content(1), "what was restored");

    drop(model);
    head.volumes.stop();
    stores.iter().for_each(|store| store.volumes.stop());
}
