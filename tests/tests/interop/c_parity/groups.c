/* All sources of a group at once: IP_MSFILTER and MCAST_MSFILTER. */
#include "parity.h"
#include <net/if.h>

#define MOST 70

/* The interface is another on each side: its address and its number. */
#ifdef TAPSTACK
#define OWN "192.0.2.2"
static unsigned number(void) { return 1; }
#else
#define OWN "192.0.2.1"
static unsigned number(void) { return if_nametoindex("tap0"); }
#endif

static union {
    struct ip_msfilter v4;
    struct group_filter any;
    char room[GROUP_FILTER_SIZE(MOST)];
} filter;

/* A `struct ip_msfilter` with so many sources. */
static void fill_v4(const char *group, unsigned mode, unsigned count)
{
    memset(&filter, 0, sizeof filter);
    inet_pton(AF_INET, group, &filter.v4.imsf_multiaddr);
    inet_pton(AF_INET, OWN, &filter.v4.imsf_interface);
    filter.v4.imsf_fmode = mode;
    filter.v4.imsf_numsrc = count;
    struct in_addr *list = (struct in_addr *)(filter.room + IP_MSFILTER_SIZE(0));
    for (unsigned at = 0; at < count && at < MOST; at++)
        list[at].s_addr = htonl(0xc6336400 + 1 + at);
}

static int set_v4(int fd, const char *group, unsigned mode, unsigned count)
{
    fill_v4(group, mode, count);
    return setsockopt(fd, IPPROTO_IP, IP_MSFILTER, &filter, IP_MSFILTER_SIZE(count));
}

static void get_v4(const char *name, int fd, unsigned room)
{
    char line[80];
    fill_v4("239.1.2.3", 7, room);
    memset(filter.room + IP_MSFILTER_SIZE(0), 0, room * sizeof(struct in_addr));
    socklen_t length = IP_MSFILTER_SIZE(room);
    CHECK(name, getsockopt(fd, IPPROTO_IP, IP_MSFILTER, &filter, &length));
    struct in_addr *list = (struct in_addr *)(filter.room + IP_MSFILTER_SIZE(0));
    snprintf(line, sizeof line, "- %u bytes, mode %u, %u sources, the first", length,
             filter.v4.imsf_fmode, filter.v4.imsf_numsrc);
    say(line, room ? (long)ntohl(list[0].s_addr) : 0, 0);
}

static void of_ipv4(void)
{
    int fd = must("socket", socket(AF_INET, SOCK_DGRAM, 0));
    struct ip_mreqn join = {.imr_ifindex = number()};
    inet_pton(AF_INET, "239.1.2.3", &join.imr_multiaddr);
    printf("sources of groups\n");
    CHECK("sources of no member", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 2));
    CHECK("leaving of no member", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 0));
    get_v4("reading of no member", fd, 2);
    CHECK("joining", setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join));
    get_v4("all sources", fd, 2);
    CHECK("two sources", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 2));
    get_v4("they are told", fd, 4);
    get_v4("one of them is told", fd, 1);
    get_v4("none of them is told", fd, 0);
    CHECK("all but three", set_v4(fd, "239.1.2.3", MCAST_EXCLUDE, 3));
    get_v4("they are told", fd, 4);
    CHECK("no mode", set_v4(fd, "239.1.2.3", 7, 1));
    CHECK("no group", set_v4(fd, "192.0.2.9", MCAST_INCLUDE, 1));
    CHECK("ten sources", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 10));
    CHECK("too many sources", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 11));
    CHECK("a short value", setsockopt(fd, IPPROTO_IP, IP_MSFILTER, &filter, 12));
    fill_v4("239.1.2.3", MCAST_INCLUDE, 3);
    CHECK("a short list",
          setsockopt(fd, IPPROTO_IP, IP_MSFILTER, &filter, IP_MSFILTER_SIZE(2)));
    socklen_t length = 12;
    CHECK("little room", getsockopt(fd, IPPROTO_IP, IP_MSFILTER, &filter, &length));
    CHECK("leaving", set_v4(fd, "239.1.2.3", MCAST_INCLUDE, 0));
    get_v4("it is left", fd, 1);
    close(fd);
}

static void address_of(struct sockaddr_storage *storage, const char *text)
{
    union address address;
    socklen_t length = at(&address, text, 0);
    memcpy(storage, &address, length);
}

/* A `struct group_filter` with so many sources. */
static void fill(const char *group, unsigned interface, unsigned mode, unsigned count)
{
    char text[40];
    memset(&filter, 0, sizeof filter);
    filter.any.gf_interface = interface;
    address_of(&filter.any.gf_group, group);
    filter.any.gf_fmode = mode;
    filter.any.gf_numsrc = count;
    struct sockaddr_storage *list = (struct sockaddr_storage *)(filter.room + GROUP_FILTER_SIZE(0));
    for (unsigned each = 0; each < count && each < MOST; each++) {
        snprintf(text, sizeof text, strchr(group, ':') ? "2001:db8:9::%u" : "198.51.100.%u",
                 each + 1);
        address_of(&list[each], text);
    }
}

static int set(int fd, int level, unsigned interface, const char *group, unsigned mode,
               unsigned count)
{
    fill(group, interface, mode, count);
    return setsockopt(fd, level, MCAST_MSFILTER, &filter, GROUP_FILTER_SIZE(count));
}

static void get(const char *name, int fd, int level, const char *group, unsigned interface,
                unsigned room)
{
    char line[80];
    fill(group, interface, 7, 0);
    filter.any.gf_numsrc = room;
    socklen_t length = GROUP_FILTER_SIZE(room);
    CHECK(name, getsockopt(fd, level, MCAST_MSFILTER, &filter, &length));
    struct sockaddr_storage *list = (struct sockaddr_storage *)(filter.room + GROUP_FILTER_SIZE(0));
    snprintf(line, sizeof line, "- %u bytes, mode %u, %u sources, the first's family", length,
             filter.any.gf_fmode, filter.any.gf_numsrc);
    say(line, list[0].ss_family, 0);
}

static void of_any(int domain, int level, const char *group, const char *other)
{
    int fd = must("socket", socket(domain, SOCK_DGRAM, 0));
    unsigned here = number();
    struct group_req join = {.gr_interface = here};
    address_of(&join.gr_group, group);
    printf("sources of %s\n", group);
    CHECK("sources of no member", set(fd, level, here, group, MCAST_INCLUDE, 2));
    CHECK("leaving of no member", set(fd, level, here, group, MCAST_INCLUDE, 0));
    get("reading of no member", fd, level, group, here, 2);
    CHECK("joining", setsockopt(fd, level, MCAST_JOIN_GROUP, &join, sizeof join));
    get("all sources", fd, level, group, here, 2);
    CHECK("two sources", set(fd, level, here, group, MCAST_INCLUDE, 2));
    get("they are told", fd, level, group, here, 4);
    get("one of them is told", fd, level, group, here, 1);
    get("of any interface", fd, level, group, 0, 1);
    CHECK("no interface", set(fd, level, 4711, group, MCAST_INCLUDE, 1));
    CHECK("no mode", set(fd, level, here, group, 7, 1));
    CHECK("too many sources", set(fd, level, here, group, MCAST_INCLUDE, 65));
    fill(group, here, MCAST_INCLUDE, 3);
    CHECK("a short list", setsockopt(fd, level, MCAST_MSFILTER, &filter, GROUP_FILTER_SIZE(2)));
    get("of the other version", fd, level, other, here, 1);
    CHECK("leaving", set(fd, level, here, group, MCAST_INCLUDE, 0));
    get("it is left", fd, level, group, here, 1);
    close(fd);
}

void groups(void)
{
    of_ipv4();
    of_any(AF_INET, IPPROTO_IP, "239.1.2.3", "ff15::9");
    of_any(AF_INET6, IPPROTO_IPV6, "ff15::9", "239.1.2.3");
}
