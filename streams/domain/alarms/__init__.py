"""
Delivery alarms: from cells of deliveries, reports of campaigns and minute ticks to alarms that open and close.

    seen          a cell, as far as the alarms read it
    watch         judges each window when its time has come, and tells what opens and closes
    scan          delivery-drop and latency-rise: a route against its own usual share, and whose fault it is
    baseline      the usual share of a route by hour, its level, and how it varies
    route_quiet   a route against the other routes of its senders
    hanging       a campaign's finals against what its reports tell that Routee handed out
    silence       the callbacks of the whole account
    deviance      how far fewer came than were expected
    told          the newest record of each alarm, and the mutes that hold
    mute          subjects whose notices are withheld for a while
    notice        the notices for a webhook, and their signature
    alarm         the public record, with its sentence for people

The rules are pure and know no clock: the same cells and ticks in the same order give the same alarms.
"""
