//! x
use suno_simulation::*;
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    if args[0] == 999 {
        for m in Mutant::ALL { let mut found = Vec::new(); for seed in 0..args[1] {
            let plan = draw::plan(seed, plan::StoreKind::Memory);
            if let Some(v) = run(&plan, Some(m)).violation { found.push((seed, format!("{v}"))); }
            if found.len() > 7 { break; }
        } println!("{m}:"); for f in found { println!("   {} {}", f.0, &f.1[..f.1.len().min(100)]); } }
        return;
    }
    for seed in args[0]..args[0]+args[1] {
        let kind = if std::env::var("SQ").is_ok() { plan::StoreKind::Sqlite } else { plan::StoreKind::Memory };
        let plan = draw::plan(seed, kind);
        let t = std::time::Instant::now();
        let o = run(&plan, None);
        if let Some(v) = &o.violation { println!("seed {seed}: {v}"); if args.len()>2 {println!("{}", trace(&plan, None).1)} }
        else if args.len()>2 { println!("{seed} ok {} entries {} polls {:?}", o.entries, o.polls, t.elapsed()); }
    }
}
