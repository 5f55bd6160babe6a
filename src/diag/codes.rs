//! Every code of a finding, with what it means. A code never changes its meaning and is never given out again.

/// Declares each code as a constant, and [`all`] as the list of them.
macro_rules! codes {
    ($($name:ident = $code:literal: $meaning:literal;)+) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)+

        /// Every code with its meaning, in the order of the codes.
        pub fn all() -> &'static [(&'static str, &'static str)] {
            &[$(($code, $meaning)),+]
        }
    };
}

codes! {
    NOT_TOML = "PG101": "the text is not TOML";
    UNKNOWN_KEY = "PG102": "an unknown key or table, or one that belongs elsewhere";
    NOT_YET = "PG103": "a key, protocol or form of the language that is not built yet";
    NO_LANGUAGE = "PG104": "the file does not say its language version";
    LANGUAGE_BELOW_HEADER = "PG105": "`language` stands below a table header";
    UNKNOWN_LANGUAGE = "PG106": "a language version that this program does not know";
    LANGUAGE_NOT_FIRST = "PG107": "`language` is not the first key";
    MISSING = "PG108": "a required key is missing, or a list or table that needs an entry is empty";
    EXCLUSIVE = "PG109": "two keys that exclude each other";
    DUPLICATE_KEY = "PG110": "a key or table stands twice in one file";

    WRONG_TYPE = "PG201": "a value of the wrong type";
    BAD_ADDRESS = "PG202": "not an address, a prefix without host bits or an ordered range of one family";
    BAD_PORT = "PG203": "not a port, an unknown protocol, or a port past 65535";
    INVERTED_PORTS = "PG204": "a port range that ends before it starts";
    BAD_HOST_NAME = "PG205": "not a host name that DNS could answer";
    BAD_NAME = "PG206": "not a name of a rule, group, service, switch or vendor policy";
    BAD_DURATION = "PG207": "not a duration, or one out of its bounds";
    MISPLACED_BROADCAST = "PG208": "`broadcast` in a group";
    BAD_PATH = "PG209": "a path that is not absolute";
    UNKNOWN_HELPER = "PG210": "a helper that does not exist";
    BAD_PASSIVE = "PG211": "`passive` is not a range of TCP ports";
    UNKNOWN_WORD = "PG212": "an unknown `direction`, `action`, `mode`, default or way to log";
    BAD_SERVER = "PG213": "not an address of a DNS server, or an empty list of them";
    FLOOR_ABOVE_CAP = "PG214": "`ttl-floor` above `ttl-cap`";
    NAMED_TWICE = "PG215": "a vendor policy is named twice";
    BAD_NUMBER = "PG216": "a number out of its bounds, or not a percentage";
    BAD_INTERFACE = "PG217": "not a name of an interface, or the beginning of one";
    BAD_USER = "PG218": "not a name or an id of a local user";
    DOMAIN_TWICE = "PG219": "two domains of the resolver with one suffix that differ";
    BAD_GROUP = "PG220": "not a name of a local group";

    DEFINED_TWICE = "PG301": "two definitions of a group, service, zone, switch or default in one layer that differ";
    TWO_RULES = "PG302": "two rules of one name, and neither replaces the other";
    UNKNOWN_GROUP = "PG303": "an unknown group";
    GROUP_CYCLE = "PG304": "a group includes itself, or excepts itself";
    UNKNOWN_SERVICE = "PG305": "an unknown service";
    UNKNOWN_SWITCH = "PG306": "an unknown switch in `when`";
    UNKNOWN_BASELINE = "PG307": "no such switch under `[baseline]`";
    HELPER_MISFIT = "PG308": "a helper that does not fit its ports, or stands beside `passive` or another service";
    NAME_IN_DENY = "PG310": "a name in a rule that denies or rejects";
    BROADCAST_IN = "PG311": "`broadcast` in a rule for incoming connections only";
    NO_RULE = "PG313": "no file has a rule: the policy `management` holds";
    MAPPED_ADDRESS = "PG314": "an IPv4 address in IPv6 form";
    TIMES_WITHOUT_MEMBERS = "PG315": "a group that says how it is kept, but not what it holds";
    GROUP_FLOOR_ABOVE_CAP = "PG316": "a group whose `ttl-floor` is above its `ttl-cap`";
    NOTHING_TO_REPLACE = "PG317": "`replaces` in a rule whose name no lower layer has";
    NOTHING_TO_OVERRIDE = "PG318": "an override of a rule that no lower layer has";
    OVERRIDDEN_TWICE = "PG319": "two overrides of one key of a rule in one layer that differ";
    UNKNOWN_ZONE = "PG320": "an unknown zone";
    NAME_IN_EXCEPT = "PG321": "a name or \"any\" in `except`";
    WRONG_FAMILY = "PG322": "an address of a family that the rule's protocol or its other end has not";
    CONDITION_AND_DIRECTION = "PG323": "`user` or `from-ports` in a rule of the wrong direction";
    CONDITION_AND_PROTOCOL = "PG324": "`from-ports` and `ports` that do not go together";
    AUDIT_AND_ALLOW = "PG325": "`mode = \"audit\"` in a rule that allows";
    OPENS_NO_HOSTS = "PG326": "`allow-net` with addresses that no name may have";
    TANGLED_EXCEPTIONS = "PG327": "exceptions that are nested too deep, or come to too much";
    EMPTY_GROUP = "PG330": "an empty group in use, or a rule with no peers";
    UNUSED_GROUP = "PG331": "a group that no rule uses";
    OPEN_GROUP = "PG332": "a group of a rule in force is \"any\"";
    ANY_BESIDE_PEERS = "PG333": "\"any\" beside other peers";
    ANY_BESIDE_PORTS = "PG334": "\"any\" beside other ports";
    STANDS_TWICE = "PG335": "an entry that stands twice in a list of one file";
    LOOKALIKE_NAMES = "PG336": "two names in use that differ only in their dots";
    NO_WAY_IN = "PG337": "no rule lets anybody reach tcp/22";
    UNUSED_SWITCH = "PG338": "a switch that no rule uses";
    NAMES_WITHOUT_DNS = "PG339": "names in use, and no way for the agent to look them up";
    UNUSED_SERVICE = "PG340": "a service of the policy that no rule uses";
    TIMES_WITHOUT_NAMES = "PG341": "a group with times or networks for names, and no name in it";
    NOTHING_LEFT = "PG342": "a group from which `except` takes everything out";
    EMPTY_ZONE = "PG343": "a zone in use without an interface";
    LOOPBACK_ZONE = "PG344": "a zone with the interface lo";
    UNUSED_ZONE = "PG345": "a zone that no rule uses";
    CHANGES_NOTHING = "PG346": "an override that changes nothing";
    COVERED_RULE = "PG347": "a rule that others always go before";

    NO_VENDOR_POLICY = "PG401": "a vendor policy that is not there";
    UNREADABLE = "PG402": "a file or directory that cannot be opened or read";
    NO_SERVERS = "PG403": "resolv.conf cannot be used";
    NO_INTERFACES = "PG404": "this machine's interfaces cannot be read";
    EMPTY_LIST = "PG405": "a list file without an entry";
    BAD_LIST_LINE = "PG406": "a line of a list file that is no address, prefix or range";
    NOT_A_FILE = "PG407": "a FIFO, device, directory or symbolic link in place of a file";
    FOREIGN_OWNER = "PG408": "a file or its directory belongs to somebody who may not change the policy";
    WRITABLE = "PG409": "a file or its directory may be written by others than its owner";
    TOO_LARGE = "PG410": "a file over 64 MiB";
    NOT_UTF8 = "PG411": "a file that is not UTF-8";
    NO_SERVER_OUTSIDE = "PG412": "a group of the DNS servers that holds none but this machine itself";
    ADDRESS_LEFT_OUT = "PG413": "an address of `--names` that no name may have";
    LIST_HELD_BACK = "PG414": "a list file with fewer entries than `min-entries`, or that lost more than `max-shrink`: the contents in force stay";
    LIST_TOO_SHORT = "PG415": "a list file with fewer entries than `min-entries`, and no contents in force that could stay";
    FORWARDS = "PG416": "this machine forwards packets, and no chain looks at them";
    NO_USER = "PG417": "a local user that is not there now";
    USERS_UNREADABLE = "PG418": "local users cannot be looked up";

    KERNEL_LACKS = "PG501": "the kernel has not what the policy needs";
    TOO_MANY_CELLS = "PG502": "the policy comes to more cells of addresses and ports than are taken";

    KERNEL_REFUSED = "PG601": "the kernel refused an operation";
    CHECK_KERNEL = "PG602": "`--kernel` could not try the ruleset";
    NOT_ADOPTED = "PG603": "open connections could not be read before the first apply";
    STORE_FAILED = "PG604": "the store could not be read or written";
    APPLY_FAILED = "PG605": "an apply that did not come to its end";
    NAMES_NOT_KEPT = "PG606": "what was learnt of names could not be read or kept";
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn codes_stand_in_order_and_none_stands_twice() {
        for pair in all().windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} before {}", pair[0].0, pair[1].0);
        }
        let shaped =
            |code: &str| code.len() == 5 && code.starts_with("PG") && code[2..].parse::<u16>().is_ok();
        assert!(all().iter().all(|(code, meaning)| shaped(code) && !meaning.is_empty()));
    }
}
