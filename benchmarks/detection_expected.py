"""What the detectors should say of each labelled capture, and why: declared by what is in the packets (tshark)."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.enums import AnomalyType

SPIKE, SCAN, LOSS = AnomalyType.TRAFFIC_SPIKE, AnomalyType.PORT_SCAN, AnomalyType.PACKET_LOSS


@dataclass(frozen=True)
class Expected:
    """What a capture should raise.

    Parameters
    ----------
    path : str
        File under the folder of attack captures.
    types : tuple of AnomalyType
        Any of them will do; empty when none of the six types covers what is in the capture.
    source, destination : str
        Who must be named; empty when it does not matter, as with forged sources.
    reason : str
        What is in the capture, and why this is expected of it.
    also : tuple of AnomalyType
        What is truly in the capture beside the attack, so that it is not counted as false.
    """

    path: str
    types: tuple[AnomalyType, ...]
    reason: str
    source: str = ""
    destination: str = ""
    also: tuple[AnomalyType, ...] = ()


def _none(path: str, reason: str, *also: AnomalyType) -> Expected:
    return Expected(path, (), reason, also=also)


EXPECTED: tuple[Expected, ...] = (
    _none("arp_spoof/na-arpSpoofing.pcap", "36 ARP answers nobody asked for; no type covers them"),
    _none(
        "botnet_malware/Forensic_challenge_4.pcap", "SIP and web probing, 92 connections in four minutes: below a flood"
    ),
    _none("botnet_malware/TLSv1-Extracted-MaliciousC2.pcap", "one TLS connection"),
    _none("botnet_malware/blaster.pcap", "one shell connection"),
    _none("botnet_malware/emotet.pcap", "six connections over weeks"),
    _none(
        "botnet_malware/evilprogram.pcap",
        "a beacon now and then; one connection is 2.5 hours old",
        AnomalyType.LONG_LIVED_CONN,
    ),
    _none("botnet_malware/malware.pcap", "six connections over four years"),
    _none("botnet_malware/merlinc2_Zeek_example.pcapng", "one QUIC conversation"),
    _none("botnet_malware/suspicious-time.pcap", "drive-by downloads, 48 connections"),
    _none("botnet_malware/test-cc-capture-2.pcap", "a C&C channel by DNS, answered"),
    Expected(
        "botnet_malware/test7-malicious.pcap",
        (SCAN,),
        "an infected camera tries 54 hosts on port 23 and 40 on 8080 within eleven minutes: a slow horizontal scan",
        source="192.168.2.16",
    ),
    Expected(
        "ddos_flood/CIC-DDoS-2019-SynFlood.pcap",
        (SPIKE, SCAN),
        "SYN flood over 8,450 ports of one host, each once: by its packets it is a vertical scan",
        source="172.16.0.5",
        destination="192.168.50.4",
    ),
    Expected(
        "ddos_flood/amp.TCP.reflection.SYNACK.pcap", (SPIKE,), "thousands of reflectors", destination="10.10.10.10"
    ),
    _none(
        "ddos_flood/amp.TCP.syn.optionallyACK.optionallysamePort.pcapng",
        "one packet a second from 60 reflectors over 14 minutes: no flood by any rate",
    ),
    Expected(
        "ddos_flood/amp.UDP.bacnet.IOT.37810.pcapng", (SPIKE,), "thousands of reflectors", destination="10.10.10.1"
    ),
    Expected("ddos_flood/amp.UDP.isakmp.pcap", (SPIKE,), "thousands of reflectors", destination="10.10.10.10"),
    Expected("ddos_flood/amp.UDP.snmp.src161.pcapng", (SPIKE,), "thousands of reflectors", destination="10.10.10.10"),
    Expected(
        "ddos_flood/dataset-chunk-syn.pcap",
        (SPIKE,),
        "SYN flood, one source, one port",
        source="11.0.0.210",
        destination="10.42.0.2",
    ),
    _none(
        "ddos_flood/dosattack.pcap", "100 SYNs, each from another random address to another random address: no victim"
    ),
    Expected(
        "ddos_flood/icmp_blacknurse.pcap",
        (SPIKE,),
        "10,000 ICMP unreachables in 0.1 s",
        source="172.16.2.1",
        destination="172.16.1.2",
    ),
    Expected(
        "ddos_flood/pkt.TCP.DOMINATE.syn.ecn.cwr.pcapng",
        (SPIKE,),
        "SYN flood from 9,697 forged sources",
        destination="10.10.10.10",
    ),
    Expected(
        "ddos_flood/udp__flood.pcap",
        (SPIKE,),
        "10,000 UDP datagrams in 0.2 s",
        source="172.16.2.1",
        destination="172.16.1.2",
    ),
    Expected(
        "dos_hulk/hulk.pcap",
        (SPIKE,),
        "594 connections in two minutes, 358 of them at once; segments are lost under the load",
        source="192.168.20.3",
        destination="192.168.1.2",
        also=(LOSS,),
    ),
    _none("dos_slowhttptest/slowloris.pcap", "seven connections, 34 packets"),
    Expected(
        "dos_slowloris/slowloris.pcap",
        (SPIKE, AnomalyType.LONG_LIVED_CONN),
        "150 connections within 20 s that are then kept open",
        source="10.0.2.15",
        destination="192.168.56.102",
    ),
    Expected(
        "ftp_bruteforce/bruteforce.pcap",
        (SPIKE,),
        "30 FTP logins within a minute",
        source="192.168.56.1",
        destination="192.168.56.101",
    ),
    _none("heartbleed/heartbleed-success.pcap", "one TLS connection"),
    _none("heartbleed/heartbleed.pcap", "one TLS connection"),
    Expected("portscan/hs-arpScan.pcap", (SCAN,), "256 hosts asked for by ARP", source="10.0.0.128"),
    Expected("portscan/hs-icmpScan.pcap", (SCAN,), "256 hosts pinged", source="10.0.0.128"),
    Expected("portscan/hs-tcp_ackPingSweepRand.pcapng", (SCAN,), "256 hosts on port 80", source="10.0.0.128"),
    Expected("portscan/hs-tcp_synPingSweepRand.pcapng", (SCAN,), "256 hosts on port 80", source="10.0.0.128"),
    Expected(
        "portscan/nmap-vsn.pcap",
        (SCAN,),
        "245 hosts asked for by ARP; the ten hosts tried on two ports are below the contract's bounds",
        source="192.168.1.71",
    ),
    _none("portscan/nmap_80_vanilla.pcap", "one port of one host"),
    _none("portscan/nmap_80_w_service_detection.pcap", "one port of one host; 3 of 47 segments sent again", LOSS),
    _none("portscan/osfingerprinting.pcap", "36 ICMP packets between two hosts"),
    Expected("portscan/portscan.pcap", (SCAN,), "29 ports of one host", source="10.100.25.14"),
    Expected("portscan/synscan.pcap", (SCAN,), "1,000 ports of one host", source="172.16.0.8"),
    _none("portscan/tcp_scan.pcapng", "seven ports: below the contract's bounds"),
    _none("portscan/test12-icmp-portscan.pcap", "18 hosts: below the contract's bounds"),
    Expected("portscan/test8-malicious.pcap", (SCAN,), "255 hosts asked for by ARP", source="192.168.1.247"),
    Expected("portscan/udp_0_1000_20190821.pcap", (SCAN,), "1,000 UDP ports of one host", source="172.31.15.102"),
    Expected(
        "ssh_bruteforce/sshguess.pcap",
        (SPIKE,),
        "11 SSH logins in 70 s",
        source="192.168.56.1",
        destination="192.168.56.103",
    ),
    _none("tunnel_exfil/dgapcap.pcapng", "names that do not exist, at a rate like a browser's"),
    _none("tunnel_exfil/dns-tunnel-iodine.pcap", "one DNS conversation; no baseline within 25 s"),
    _none("tunnel_exfil/dns2tcp_tunnel.pcap", "one TLS connection"),
    _none("tunnel_exfil/dns_exfiltration.pcap", "one DNS conversation; no baseline within a minute"),
    _none("tunnel_exfil/icmp-tunnel.pcap", "one ICMP conversation, less than a packet per second"),
    Expected("web_rce_log4j/WebattackRCE.pcap", (SPIKE,), "797 connections within 1.4 s", source="127.0.0.1"),
    _none("web_rce_log4j/log4j-webapp-exploit.pcap", "seven connections"),
    _none("web_sqli/cooper-grill-dvwa.pcapng", "four connections"),
    _none("web_sqli/sql_injection.pcap", "one request"),
    _none("web_xss/xss.pcap", "two requests"),
)
"""The attack captures; what a machine lacks is left out of the table."""


@dataclass(frozen=True)
class LabExpected:
    """What a labelled class of the lab's sample should raise in its time.

    Parameters
    ----------
    tool : str
        As in the label file.
    """

    tool: str
    types: tuple[AnomalyType, ...]
    reason: str


LAB_EXPECTED: tuple[LabExpected, ...] = (
    LabExpected("beacon", (), "a small report every ten seconds"),
    LabExpected("nmap -sS", (SCAN,), "300 ports"),
    LabExpected("hydra ssh", (SPIKE,), "9 SSH connections within four seconds"),
    LabExpected("web_attacks sql", (), "72 requests; what is in them no type covers"),
    LabExpected("hping3 -S", (SPIKE,), "six sources, 500 SYNs each"),
    LabExpected("slowhttptest -H", (), "45 connections kept open: a slow attack, no flood"),
    LabExpected("web_attacks xss", (), "24 requests; what is in them no type covers"),
    LabExpected("http_flood hulk", (SPIKE,), "296 connections within five seconds"),
    LabExpected("hydra http-post-form", (SPIKE,), "50 connections within two seconds; a flood only against a baseline"),
    LabExpected("hydra ftp", (SPIKE,), "four FTP connections at once, six passwords on each"),
    LabExpected("slowhttptest -B", (), "45 connections kept open: a slow attack, no flood"),
    LabExpected("http_flood goldeneye", (SPIKE,), "60 requests per second on eight kept connections"),
    LabExpected("nmap ssl-heartbleed", (), "six connections"),
    LabExpected("ab", (SPIKE,), "six sources, 60 connections each, within half a second"),
    LabExpected("infiltration", (), "two connections"),
    LabExpected("nmap -sT from inside", (SCAN,), "60 ports of each of two hosts"),
    LabExpected("nmap -6 -sS", (SCAN,), "200 ports over IPv6"),
)
"""The rows of ``samples/mixed.labels.csv``, by tool."""
