"""A Kubernetes node that runs each container of its pods as processes of this machine.

It ignores images: the command has to come with the pod, and its programs from the machine.  For labs, demos and tests
on loopback; not a sandbox.
"""
