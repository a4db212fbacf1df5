/* ping CONFIG ADDRESS COUNT: sends echo requests, one after the other, and says how long each took. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tapstack.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: ping CONFIG ADDRESS COUNT\n");
        return 2;
    }
    if (tapstack_init(argv[1]) < 0) return 1;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = tapstack_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    if (fd < 0 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
        perror("ping");
        return 1;
    }
    int yes = 1, lost = 0;
    tapstack_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes);
    for (int sequence = 1; sequence <= atoi(argv[3]); sequence++) {
        /* The identifier and the checksum are the stack's business. */
        struct icmphdr request = {.type = ICMP_ECHO, .un.echo.sequence = htons(sequence)}, reply;
        double sent = now();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t length = tapstack_sendto(fd, &request, sizeof request, 0,
                                         (struct sockaddr *)&to, sizeof to);
        if (length > 0 && tapstack_poll(&wait, 1, 5000) == 0) errno = ETIMEDOUT, length = -1;
        if (length > 0) length = tapstack_recv(fd, &reply, sizeof reply, 0);
        if (length < (ssize_t)sizeof reply || reply.type != ICMP_ECHOREPLY) {
            printf("seq %d: %s\n", sequence, strerror(errno));
            lost++;
        } else {
            printf("seq %d: %.3f ms\n", ntohs(reply.un.echo.sequence), now() - sent);
        }
    }
    tapstack_close(fd);
    tapstack_fini();
    return lost > 0;
}
