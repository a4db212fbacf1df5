/* getaddrinfo and getnameinfo of numbers, and their errors. */
#include "parity.h"

/* What was found: how many, and of the first the family, type, protocol, port and length. */
static void find(const char *name, const char *node, const char *service, int family, int type,
                 int protocol, int flags)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = type, .ai_protocol = protocol,
                             .ai_flags = flags};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(node, service, &hints, &list);
    if (code) {
        printf("%s: %s\n", name, gai_strerror(code));
        return;
    }
    int count = 0;
    for (struct addrinfo *it = list; it; it = it->ai_next)
        count++;
    char host[64] = "", port[16] = "";
    getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    printf("%s: %d of %d %d %d %u %s %s %s\n", name, count, list->ai_family, list->ai_socktype,
           list->ai_protocol, list->ai_addrlen, host, port,
           list->ai_canonname ? list->ai_canonname : "-");
    freeaddrinfo(list);
}

static void addresses(void)
{
    const int any = AF_UNSPEC, tcp = SOCK_STREAM;
    find("a number", "192.0.2.1", "80", any, tcp, 0, 0);
    find("a number of IPv6", "2001:db8::1", "80", any, tcp, 0, 0);
    find("one of a link", "fe80::1%tap0", "80", any, tcp, 0, 0);
    find("one of a number", "fe80::1%4711", "80", any, tcp, 0, 0);
    find("one of no link", "fe80::1%nowhere", "80", any, tcp, 0, 0);
    find("one that needs none", "2001:db8::1%tap0", "80", any, tcp, 0, 0);
    find("any type", "192.0.2.1", "80", any, 0, 0, 0);
    find("datagrams", "192.0.2.1", "80", any, SOCK_DGRAM, 0, 0);
    find("by protocol", "192.0.2.1", "80", any, 0, IPPROTO_UDP, 0);
    find("type and protocol do not fit", "192.0.2.1", "80", any, tcp, IPPROTO_UDP, 0);
    find("no type", "192.0.2.1", "80", any, 77, 0, 0);
    find("no family", "192.0.2.1", "80", 77, tcp, 0, 0);
    find("the other family", "192.0.2.1", "80", AF_INET6, tcp, 0, 0);
    find("in disguise", "192.0.2.1", "80", AF_INET6, tcp, 0, AI_V4MAPPED);
    find("no number", "nobody.invalid", "80", any, tcp, 0, AI_NUMERICHOST);
    find("no number of a service", "192.0.2.1", "http", any, tcp, 0, AI_NUMERICSERV);
    find("a service that is none", "192.0.2.1", "no-such-service", any, tcp, 0, 0);
    find("a port that is none", "192.0.2.1", "65536", any, tcp, 0, 0);
    find("a short number", "127.1", "80", any, tcp, 0, 0);
    find("one of base 16", "0x7f000001", "80", any, tcp, 0, AI_NUMERICHOST);
    find("parts of base 8 and 16", "0300.0x0.513", "80", any, tcp, 0, AI_NUMERICHOST);
    find("the shortest number", "0", "80", any, tcp, 0, 0);
    find("a short number in disguise", "127.1", "80", AF_INET6, tcp, 0, AI_V4MAPPED);
    find("a part too large", "127.256.1", "80", any, tcp, 0, AI_NUMERICHOST);
    find("a part too many", "1.2.3.4.5", "80", any, tcp, 0, AI_NUMERICHOST);
    find("a number and more", "127.1 x", "80", any, tcp, 0, AI_NUMERICHOST);
    find("no service", "192.0.2.1", NULL, any, tcp, 0, 0);
    find("nothing", NULL, NULL, any, tcp, 0, 0);
    find("nobody", NULL, "80", AF_INET, tcp, 0, 0);
    find("nobody, to bind to", NULL, "80", AF_INET, tcp, 0, AI_PASSIVE);
    find("nobody, of both families", NULL, "80", any, tcp, 0, AI_PASSIVE);
    find("no flag", "192.0.2.1", "80", any, tcp, 0, 0x10000);
    find("its name", "192.0.2.1", "80", any, tcp, 0, AI_CANONNAME);
    find("the name of nobody", NULL, "80", any, tcp, 0, AI_CANONNAME);
    find("localhost", "localhost", "80", AF_INET, tcp, 0, 0);
}

static void told(const char *name, const char *text, socklen_t length, int room, int flags)
{
    union address address;
    char host[64] = "", port[16] = "";
    socklen_t whole = at(&address, text, 80);
    int code = getnameinfo(&address.any, length ? length : whole, host, room, port, sizeof port,
                           flags);
    if (code)
        printf("%s: %s\n", name, gai_strerror(code));
    else
        printf("%s: %s %s\n", name, host, port);
}

static void interfaces(void)
{
    char name[IF_NAMESIZE] = "";
    struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    unsigned number = if_nametoindex("tap0");
    CHECK("the number of an interface", number > 0);
    CHECK("and its name", if_indextoname(number, name) == name ? strcmp(name, "tap0") : -1);
    CHECK("the scope of an address", getaddrinfo("fe80::1%tap0", "80", &hints, &list));
    CHECK("is it", ((struct sockaddr_in6 *)list->ai_addr)->sin6_scope_id == number);
    freeaddrinfo(list);
    struct if_nameindex *all = if_nameindex();
    int found = 0;
    for (struct if_nameindex *it = all; it && it->if_name; it++)
        found += it->if_index == number && strcmp(it->if_name, "tap0") == 0;
    CHECK("among all it is one", found);
    if_freenameindex(all);
    CHECK("the number of none", if_nametoindex("nowhere") ? 1 : -1);
    CHECK("the name of none", if_indextoname(4711, name) ? 1 : -1);
}

void names(void)
{
    const int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
    addresses();
    interfaces();
    told("a name of numbers", "192.0.2.1", 0, 64, numbers);
    told("a name of IPv6", "2001:db8::1", 0, 64, numbers);
    told("a name of a short address", "192.0.2.1", 8, 64, numbers);
    told("a name in too little room", "192.0.2.1", 0, 4, numbers);
    told("a name with no flag", "192.0.2.1", 0, 64, numbers | 0x10000);
}
