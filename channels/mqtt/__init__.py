"""MQTT: the state of each area as a retained message on a broker, for sirens and signs."""

from channels.mqtt.adapter import MqttAdapter

__all__ = ["MqttAdapter"]
