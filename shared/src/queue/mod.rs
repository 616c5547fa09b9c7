//! RabbitMQ: topology, and connections that heal by themselves.
