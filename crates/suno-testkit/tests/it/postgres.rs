//! Private clusters lose nothing that was committed, and leave nothing behind.

use suno_testkit::postgres::{Cluster, SmallDisk, StopMode, programs_or_skip, skipped};

#[test]
fn a_cluster_keeps_its_data_however_it_is_stopped() {
    let Some(programs) = programs_or_skip() else {
        return;
    };
    let mut cluster = Cluster::start(&programs, "").unwrap();
    cluster.sql("CREATE TABLE t (n int)").unwrap();
    let modes = [StopMode::Fast, StopMode::Immediate, StopMode::Kill];
    for (done, mode) in modes.into_iter().enumerate() {
        cluster.sql("INSERT INTO t VALUES (1)").unwrap();
        cluster.stop(mode).unwrap();
        assert!(cluster.sql("SELECT 1").is_err(), "{mode:?}");
        cluster.resume().unwrap();
        let rows = cluster.sql("SELECT count(*) FROM t").unwrap();
        assert_eq!(rows, (done + 1).to_string(), "{mode:?}");
    }
}

#[test]
fn a_promoted_standby_has_what_its_primary_committed() {
    let Some(programs) = programs_or_skip() else {
        return;
    };
    let mut primary = Cluster::start(&programs, "").unwrap();
    let standby = primary.synchronous_standby().unwrap();
    primary.sql("CREATE TABLE t AS SELECT 1 AS n").unwrap();
    assert!(standby.sql("CREATE TABLE u (n int)").is_err());
    primary.stop(StopMode::Kill).unwrap();
    standby.promote().unwrap();
    let rows = standby.sql("INSERT INTO t VALUES (2); SELECT count(*) FROM t");
    assert_eq!(rows.unwrap(), "2");
}

#[test]
fn a_small_disk_is_full_after_its_size() {
    let Some(programs) = programs_or_skip() else {
        return;
    };
    let disk = match SmallDisk::new(&programs, 4) {
        Ok(disk) => disk,
        Err(err) => return skipped(&format!("{err:#}")),
    };
    let cluster = Cluster::start(&programs, "").unwrap();
    let place = format!(
        "CREATE TABLESPACE small LOCATION '{}'",
        disk.path().display()
    );
    cluster.sql(&place).unwrap();
    cluster
        .sql("CREATE TABLE t (n int) TABLESPACE small")
        .unwrap();
    let filled = cluster.sql("INSERT INTO t SELECT generate_series(1, 300000)");
    let err = filled.unwrap_err().to_string();
    assert!(err.contains("53100"), "{err}");
    drop(cluster);
}
