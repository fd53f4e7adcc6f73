use super::*;

fn at(cyctime: &str) -> Clock {
    let now = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    Clock::from_arguments(now, None, Some(cyctime)).unwrap()
}

fn check(clock: &Clock, table: &[(&str, &str)]) {
    for (expression, value) in table {
        assert_eq!(evaluate(expression, clock).as_deref(), Ok(*value), "{expression}");
    }
}

#[test]
fn a_daily_run_of_2025_11_01() {
    check(
        &at("20251101023045"),
        &[
            ("$bizdate", "20251031"),
            ("$cyctime", "20251101023045"),
            ("${yyyy}", "2025"),
            ("$[yyyy]", "2025"),
            ("${mm}", "10"),
            ("$[mm]", "11"),
            ("${dd}", "31"),
            ("$[dd]", "01"),
            ("${yyyymm}", "202510"),
            ("$[hh24]", "02"),
            ("${yyyy-mm-dd}", "2025-10-31"),
            ("$[yyyy-mm-dd]", "2025-11-01"),
            ("$gmtdate", "20251101"),
            ("$[mi]", "30"),
            ("$[ss]", "45"),
            ("${yyyy-1}", "2024"),
            ("$[yyyymmdd-1]", "20251031"),
            ("${yyyymm-1}", "202509"),
            ("$[hh24miss-1/24]", "013045"),
            ("${yyyymmdd-1}", "20251030"),
            ("$[hh24miss-1/24/60]", "022945"),
            ("${yyyymmdd-7*1}", "20251024"),
            ("$[add_months(yyyymmdd,-1)]", "20251001"),
            ("${yyyymmdd+1}", "20251101"),
            ("$[add_months(yyyymmdd,-12*1)]", "20241101"),
            ("${yyyymm}01", "20251001"),
            ("$[yyyymmdd-3/24]", "20251031"),
            ("$bizmonth", "202510"),
            ("$[yyyymmddhh24miss-1/24]", "20251101013045"),
            ("$[yyyymmdd-1-3/24]", "20251030"),
            ("${yyyy-mm-dd-1}", "2025-10-30"),
        ],
    );
}

#[test]
fn other_worked_values() {
    check(
        &at("20140515103000"),
        &[
            ("$[yy]", "14"),
            ("$[hh24:mi:ss]", "10:30:00"),
            ("$[hh24:mi:ss-1/24]", "09:30:00"),
            ("$[add_months(yyyymmdd,-1)]", "20140415"),
            ("$[add_months(yyyymmdd,-12*1)]", "20130515"),
            // A blank is refused, so a date and a time of day are two parameters.
            ("$[yyyy-mm-dd-1/24/60]", "2014-05-15"),
            ("$[hh24:mi:ss-1/24/60]", "10:29:00"),
        ],
    );
    check(
        &at("20180722000000"),
        &[("${yyyymmdd-2}", "20180719"), ("${yyyymm-2}", "201805"), ("${yyyy-2}", "2016")],
    );
    for hour in 0..24 {
        let clock = at(&format!("20190114{hour:02}0000"));
        check(&clock, &[("$bizdate", "20190113")]);
        check(&clock, &[("$cyctime", &format!("20190114{hour:02}0000"))]);
    }
    check(
        &at("20151027000000"),
        &[
            ("$[yyyymmdd]$[hh24-1/24]", "2015102723"),
            ("$[yyyymmdd-1/24]", "20151026"),
            ("$[hh24-1/24]", "23"),
            ("$[hh12]|$[hh]", "12|12"),
        ],
    );
    check(&at("20250331000000"), &[("$[add_months(yyyymmdd,-1)]", "20250228")]);
    let now = DateTime::constant(2030, 5, 6, 7, 8, 9, 0);
    let backfill = Clock::from_arguments(now, Some("20250315"), None).unwrap();
    check(&backfill, &[("${yyyymmdd}", "20250315"), ("$[yyyymmddhh24miss]", "20250316000000")]);
}

#[test]
fn formats_and_offsets_by_their_rules() {
    check(
        &at("20251101023045"),
        &[
            // Tokens, the longest first, in any order.
            ("${yymmdd}", "251031"),
            ("${dd/mm/yyyy}", "31/10/2025"),
            ("$[yyyyyy]", "202525"),
            ("$[hh24hh12hh]", "020202"),
            ("$[mmmiss]", "113045"),
            // The smallest unit that is there.
            ("${yyyy+1}", "2026"),
            ("${mm-1}", "09"),
            ("${yyyymm+2}", "202512"),
            ("${yyyymmdd+7*2}", "20251114"),
            ("${dd-30}", "01"),
            // Days, hours and minutes, and several at once.
            ("$[yyyymmdd+7*1]", "20251108"),
            ("$[yyyymmdd-1-1/24]", "20251031"),
            ("$[yyyymmdd-1-3/24]", "20251030"),
            ("$[yyyymmddhh24mi-2*3/24]", "202510312030"),
            ("$[hh24mi-15/24/60]", "0215"),
            ("$[hh24-1]", "02"),
            ("$[add_months(yyyymm,2)]", "202601"),
            ("$[add_months(yyyymm,+2)]", "202601"),
            ("$[add_months(yyyy-mm-dd,-8)]", "2025-03-01"),
            ("$[add_months(yyyymmddhh24miss,-1)]", "20251001023045"),
        ],
    );
    check(
        &at("20240331130000"),
        &[
            ("$[hh12]", "01"),
            ("$[add_months(yyyymmdd,-1)]", "20240229"),
            ("$[add_months(yyyymmdd,-13)]", "20230228"),
            ("${yyyymm-1}", "202402"),
        ],
    );
    // Hours go by the clock of the schedule's zone, also on the day on which it skips one.
    check(&at("20250330033000"), &[("$[hh24mi-1/24]", "0230")]);
}

#[test]
fn the_business_month_is_the_one_before_within_the_current_month() {
    check(&at("20251016000000"), &[("$bizmonth", "202509")]);
    check(&at("20250102000000"), &[("$bizmonth", "202412")]);
    check(&at("20251101000000"), &[("$bizmonth", "202510")]);
    // For a business date alone the month is that of the day on which it was asked for.
    for (now, expected) in [("20251020", "202509"), ("20251120", "202510"), ("20261020", "202510")]
    {
        let now = at(&format!("{now}120000")).cyctime;
        let clock = Clock::from_arguments(now, Some("20251015"), None).unwrap();
        check(&clock, &[("$bizmonth", expected)]);
        check(&clock.to_string().parse().unwrap(), &[("$bizmonth", expected)]);
    }
}

#[test]
fn text_and_constants_stay() {
    check(
        &at("20251101023045"),
        &[
            ("pt=${yyyymmdd}/hh=$[hh24]", "pt=20251031/hh=02"),
            ("cn", "cn"),
            ("'cn'", "cn"),
            ("'a$bizdate'", "a$bizdate"),
            ("\"$x\"", "$x"),
            ("5$ or $5", "5$ or $5"),
            ("$bizdate_x$bizdate00", "20251031_x2025103100"),
            ("$[yyyymmddThh24]", "20251101T02"),
            ("", ""),
        ],
    );
}

#[test]
fn what_is_no_expression_is_refused() {
    let clock = at("20251101023045");
    let table = [
        "${hh24}",
        "${yyyymmddmi}",
        "${yyyy=mm}",
        "$[yyyy-mm-dd hh24:mi:ss]",
        "$[mm-1]",
        "$[yyyymm-1]",
        "$[yyyy-1]",
        "$[yy+1]",
        "$[yyyy=mm]",
        "${yyyymm 01}",
        "$[add_months(yyyymm, -1)]",
        "${ss}",
        "${yyyymmdd-1/24}",
        "${yyyymmdd-1-1}",
        "${region}",
        "${}",
        "$[]",
        "$[YYYY]",
        "${yyyymmdd",
        "$[yyyy",
        "$yyyymmdd",
        "$bizdat",
        "$taskid",
        "${yyyymmdd-99999999999}",
        "${yyyy-9999}",
        "$[yyyymmdd+3000000]",
        "$[add_months(yyyymmdd)]",
        "$[add_months(yyyymmdd,-1)-1]",
    ];
    for expression in table {
        let fault = evaluate(expression, &clock).unwrap_err();
        assert_eq!(fault.code, "spec.expression", "{expression}");
        assert!(fault.hint.is_some(), "{expression}");
    }
    assert_eq!(evaluate("$bizdat", &clock).unwrap_err().hint.unwrap(), "did you mean \"bizdate\"?");
}

#[test]
fn clocks_come_from_arguments_and_come_back_from_text() {
    let now = DateTime::constant(2025, 11, 1, 2, 30, 45, 999);
    let text = |bizdate, cyctime| {
        Clock::from_arguments(now, bizdate, cyctime).map(|clock| clock.to_string())
    };
    let table = [
        (None, None, "20251101023045 20251031"),
        (Some("20250315"), None, "20250316000000 20250315 20251101"),
        (Some("2025-03-15"), Some("20250401120000"), "20250401120000 20250315"),
        (None, Some("2025-04-01T12:00:00"), "20250401120000 20250331"),
    ];
    for (bizdate, cyctime, expected) in table {
        assert_eq!(text(bizdate, cyctime).as_deref(), Ok(expected));
        let clock: Clock = expected.parse().unwrap();
        assert_eq!(clock.to_string(), expected);
    }
    for bad in ["20251301", "today", "2025103", "00000101"] {
        assert_eq!(text(Some(bad), None).unwrap_err().code, "spec.clock", "{bad}");
        assert_eq!(text(None, Some(bad)).unwrap_err().code, "spec.clock", "{bad}");
    }
}

#[test]
fn assignments_are_read_and_come_back() {
    let given = ["bizdate=$bizdate", "where=a = 'b'", "empty="];
    let parameters = Parameters::from_arguments(given).unwrap();
    let pairs: Vec<_> = parameters.pairs().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    assert_eq!(pairs[2], ("where".into(), "a = 'b'".into()));
    assert_eq!(Parameters::from_pairs(pairs), parameters);
    for bad in ["x", "=1", "a b=1", "a= 1", "a =1", "1a=2"] {
        assert_eq!(Parameters::from_arguments([bad]).unwrap_err().len(), 1, "{bad}");
    }
    assert_eq!(
        Parameters::from_arguments(["a=1", "a=2"]).unwrap_err()[0].code,
        "spec.parameter_twice"
    );
}
